"""Values: each in its one spelling, or refused in a sentence."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal import checks, config
from portal.checks import BadValueError
from tests.conftest import ENVIRONMENT, LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = config.load(ENVIRONMENT)
DIGITS = "0123456789"


@pytest.fixture(autouse=True, scope="module")
def _settings() -> Iterator[None]:
    config.use(SETTINGS)
    yield
    config.use(SETTINGS)


def refused(check: Callable[[str], str], value: str) -> bool:
    """Whether a check refuses a value, in a sentence fit for a page."""
    with pytest.raises(BadValueError) as caught:
        check(value)
    sentence = str(caught.value)
    return sentence.endswith(".") and len(sentence) < 100 and sentence.isprintable()


# Phones

mobiles = st.from_regex(r"9[0-9]{9}", fullmatch=True).filter(
    lambda digits: phonenumbers.is_valid_number(phonenumbers.parse(f"+7{digits}"))
)
gaps = st.sampled_from(["", " ", "-", "  ", "\u00a0", "–", " - "])


@given(mobiles, st.sampled_from(["8", "+7", "7", "8 ", "+7\u00a0", ""]), gaps, gaps, gaps, gaps)
def test_a_phone_has_one_spelling(
    digits: str, prefix: str, first: str, second: str, third: str, fourth: str
) -> None:
    area, rest = digits[:3], (digits[3:6], digits[6:8], digits[8:])
    plain = f"{prefix}{area}{second}{rest[0]}{third}{rest[1]}{fourth}{rest[2]}"
    bracketed = f"{prefix}{first}({area}){second}{rest[0]}{third}{rest[1]}{fourth}{rest[2]}"
    for typed in (plain, bracketed, f"  {plain} "):
        assert checks.phone(typed) == f"+7{digits}", typed


@given(mobiles)
def test_a_phone_is_shown_as_people_write_it(digits: str) -> None:
    shown = checks.display_phone(f"+7{digits}")
    assert checks.phone(shown) == f"+7{digits}"
    assert shown == f"+7 {digits[:3]} {digits[3:6]}-{digits[6:8]}-{digits[8:]}"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "+7",
        "+7 701 555 01 47",  # Kazakhstan
        "8 701 555 01 47",
        "+7 771 555 01 47",
        "8 495 739-70-00",  # a landline
        "+7 812 555-01-47",
        "8-800-333-30-92",  # a free one
        "112",
        "921 555-01-4",
        "+7 921 555-01-470",
        "+7 921 555-01-47 доб. 12",
        "+7 921 555-01-47 ext. 12",
        "+7 921 555-01-47;ext=12",
        "+7 921 555-01-47x12",
        "+7 921 555-01-47#12",
        "tel:+79215550147",
        "+7 921 FLOWERS",
        "+7 921 KKK-PT-GP",
        "7,92156E+10",
        "+７ ９２１ ５５５-０１-４７",
        "٧٩٢١٥٥٥٠١٤٧",
        "+7 921 555-01-47, +7 921 555-01-48",
        "+7 921 555-01-47 / 48",
        "+7 921\n555-01-47",
        "+7 921\x00555-01-47",
        "+7 921 555-01-47\u200b",
        "\u202e+79215550147",
        "+79215550147" + " " * 40 + "1",
        "9" * 300,
        "+1 201 555-0123",
        "+44 7400 123456",
        "00000000000",
    ],
)
def test_what_is_no_russian_mobile_number_is_refused(typed: str) -> None:
    assert refused(checks.phone, typed)


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_refused(typed: str) -> None:
    try:
        found = checks.phone(typed)
    except BadValueError:
        return
    assert found.startswith("+79")
    assert checks.phone(found) == found


def test_other_regions_are_taken_when_they_are_listed() -> None:
    try:
        config.use(replace(SETTINGS, phone_regions=("RU", "KZ")))
        assert checks.phone("8 701 555 01 47") == "+77015550147"
        assert checks.phone("8 921 555-01-47") == "+79215550147"
        assert refused(checks.phone, "+375 29 491-19-11")
        assert refused(checks.phone, "+7 7172 55 01 47")  # a landline there
        config.use(replace(SETTINGS, phone_regions=("BY",)))
        assert checks.phone("+375 29 491-19-11") == "+375294911911"
        assert refused(checks.phone, "+7 921 555-01-47")
    finally:
        config.use(SETTINGS)


# Emails


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("i.lomova@sever-trakt.example", "i.lomova@sever-trakt.example"),
        (" I.Lomova@Sever-Trakt.Example ", "I.Lomova@sever-trakt.example"),
        ("lomova+izkt@example.ru", "lomova+izkt@example.ru"),
        ("lomova@почта.рф", "lomova@почта.рф"),
        ("a" * 64 + "@example.ru", "a" * 64 + "@example.ru"),
    ],
)
def test_an_email_has_one_spelling(typed: str, stored: str) -> None:
    assert checks.email(typed) == stored
    assert checks.email(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "lomova",
        "@example.ru",
        "lomova@",
        "lomova@example",
        "lomova@@example.ru",
        "lomova @example.ru",
        "lomova@example.ru, petrov@example.ru",
        "Ломова <lomova@example.ru>",
        "ломова@example.ru",
        "lomova@example.ru\nBcc: all@example.ru",
        "lomova\r\n@example.ru",
        "lomova\x00@example.ru",
        "lomova\u200b@example.ru",
        "lomova\u202e@example.ru",
        "lomova\v@example.ru",
        "lomova@exam\fple.ru",
        "lomova@[127.0.0.1]",
        '"lo mova"@example.ru',
        "lomova@example..ru",
        "a" * 65 + "@example.ru",
        "a@" + "b" * 60 + ("." + "b" * 60) * 4 + ".ru",
        "a" * 100_000,
        "=cmd|'/Ccalc'!A0@example.ru",
        "+79215550147@example.ru",
        "-lomova@example.ru",
    ],
)
def test_what_is_no_email_is_refused(typed: str) -> None:
    assert refused(checks.email, typed)


@given(st.emails(), st.sampled_from(["\n", "\r", "\0", "\v", "\f", "\u2028", "\u202e", "\u200b"]))
def test_no_email_carries_a_line_or_a_mark_unseen(address: str, sign: str) -> None:
    for place in range(1, len(address)):
        try:
            found = checks.email(address[:place] + sign + address[place:])
        except BadValueError:
            continue
        assert sign not in found


# ИНН, ОГРН, КПП


def weighed(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11


def inn_of(body: str) -> tuple[str, bool]:
    """An ИНН, and whether none of its sums left 10, which is written 0 like 0 itself."""
    if len(body) == 9:
        sums = [weighed(body, (2, 4, 10, 3, 5, 9, 4, 6, 8))]
    else:
        first = weighed(body, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
        second = weighed(body + str(first % 10), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
        sums = [first, second]
    return body + "".join(str(each % 10) for each in sums), not {0, 10} & set(sums)


def ogrn_of(body: str) -> str:
    return body + str(int(body) % (11 if len(body) == 12 else 13) % 10)


def neighbours(number: str) -> list[str]:
    """Every number that differs in one digit."""
    return [
        number[:place] + digit + number[place + 1 :]
        for place in range(len(number))
        for digit in DIGITS
        if digit != number[place]
    ]


bodies = st.sampled_from([9, 10]).flatmap(
    lambda length: st.from_regex(rf"[1-9][0-9]{{{length - 1}}}", fullmatch=True)
)
registrations = st.from_regex(r"[15][0-9]{11}|3[0-9]{13}", fullmatch=True)


@given(bodies)
@example("290199901")
def test_an_inn_with_right_control_digits_is_taken(body: str) -> None:
    number, _ = inn_of(body)
    assert checks.inn(number) == number
    assert checks.inn(f" {number} ") == number


@given(bodies)
def test_an_inn_with_other_control_digits_is_refused(body: str) -> None:
    number, _ = inn_of(body)
    count = len(number) - len(body)
    for place in range(len(number) - count, len(number)):
        for digit in set(DIGITS) - {number[place]}:
            assert refused(checks.inn, number[:place] + digit + number[place + 1 :])


@given(bodies)
@example("500000000")  # one digit away from ten zeros, whose control digit is right
def test_every_change_of_one_digit_of_an_inn_is_refused(body: str) -> None:
    """Save where the sum modulo 11 goes from 0 to 10 or back: both are written 0 by the rule."""
    number, plain = inn_of(body)
    for other in neighbours(number):
        if inn_of(other[: len(body)])[0] == other and other.strip("0"):
            assert not plain or len(number) == 12
            assert checks.inn(other) == other
        else:
            assert refused(checks.inn, other)


@pytest.mark.parametrize("number", [LOMOVA.inn, "6658999030", inn_of("7728172892")[0]])
def test_a_mistyped_inn_is_refused(number: str) -> None:
    body = number[: 9 if len(number) == 10 else 10]
    assert inn_of(body)[0] == number
    assert checks.inn(number) == number
    slips = [each for each in neighbours(number) if inn_of(each[: len(body)])[0] != each]
    assert len(slips) > 9 * len(number) - 10
    assert all(refused(checks.inn, each) for each in slips)


@given(registrations)
@example("30010000000003")  # the remainder is 10, its last digit 0
@example("102290099910")
def test_an_ogrn_is_taken_with_its_right_control_digit_only(body: str) -> None:
    number = ogrn_of(body)
    assert checks.ogrn(number) == number
    for digit in set(DIGITS) - {number[-1]}:
        assert refused(checks.ogrn, number[:-1] + digit)


@pytest.mark.parametrize("number", [LOMOVA.ogrn, ogrn_of("30010000000003")])
def test_a_mistyped_ogrn_is_refused(number: str) -> None:
    """Save where two remainders end with the same digit: that is how the rule is."""
    assert ogrn_of(number[:-1]) == number
    slips = [each for each in neighbours(number) if ogrn_of(each[:-1]) != each]
    assert len(slips) > 7 * len(number)
    assert all(refused(checks.ogrn, each) for each in slips)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "2901999",
        "29019990141",
        "290199901х",
        "２９０１９９９０１４",
        "2901 999014",
        "-2901999014",
        "0000000000",
        "000000000000",
        "2901999014\x00",
        "9" * 5000,
        "²901999014",
    ],
)
def test_what_is_no_inn_is_refused(typed: str) -> None:
    assert refused(checks.inn, typed)


@pytest.mark.parametrize(
    "typed", ["", "1022900999", "0000000000000", "000000000000000", "10229009991O9", "1" * 14]
)
def test_what_is_no_ogrn_is_refused(typed: str) -> None:
    assert refused(checks.ogrn, typed)


def test_a_kpp_is_known_by_its_form() -> None:
    assert checks.kpp(" 290101001 ") == "290101001"
    assert checks.kpp("2901AB001") == "2901AB001"
    assert checks.kpp("") == ""
    for typed in ("29010100", "2901010011", "2901ab001", "2901ЖЖ001", "A90101001", "２90101001"):
        assert refused(checks.kpp, typed)


def test_an_organisations_id_is_letters_digits_and_hyphens() -> None:
    assert checks.organisation_id(" ORG-004217 ") == "ORG-004217"
    assert checks.organisation_id("ЁЛКА-1") == "ЁЛКА-1"
    for typed in ("", "ORG 1", "ORG_1", "ORG/1", "ORG\n1", "a" * 41, "ORG-1\u200b", "٣"):
        assert refused(checks.organisation_id, typed)


# Text

name = checks.text(20)
INVISIBLE = [
    *"\n\r\0\x01\x1b\x7f\x85\v\f",
    *"\u2028\u2029",  # separators of lines
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",  # of direction
    *"\u200b\u200c\u200d\u2060\ufeff\u00ad",  # of no width
    *"\ufffd\ue000\U000e0041\ud800",  # broken, private, tags, half of a sign
]


@pytest.mark.parametrize("sign", INVISIBLE, ids=lambda sign: f"U+{ord(sign):04X}")
def test_text_holds_nothing_that_cannot_be_seen(sign: str) -> None:
    for typed in (f"Ло{sign}мова", f"{sign}Ломова", f"Ломова{sign}"):
        assert refused(name, typed)


@pytest.mark.parametrize(
    "lure",
    [
        *("https://izkt.example", "www.izkt-vhod.example", "Войдите: izkt-vhod.ru/login", "x.рф/y"),
        *(
            "izkt-vhod.ru:443/x",
            "izkt-vhod.ru?x=1",
            "izkt-vhod.ru#x",
            "izkt.xn--p1ai/x",
            "x.сайт/y",
        ),
    ],
)
def test_no_text_leads_elsewhere(lure: str) -> None:
    assert refused(checks.text(200), f"Ваш доступ закрыт. {lure}")


@pytest.mark.parametrize("plain", ["г.Москва, ул.Мира/2", "ООО «Рога.Копыта»", "а/я 5, стр.1/2"])
def test_addresses_and_names_are_no_links(plain: str) -> None:
    assert checks.text(200)(plain) == plain


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
def test_no_text_becomes_a_formula(sign: str) -> None:
    for typed in (f"{sign}1+1", f"  {sign}SUM(A1)", sign, f"\u00a0{sign}1", f"\t{sign}1"):
        assert refused(name, typed)
    assert name(f"ООО {sign}1") == f"ООО {sign}1"


def test_text_is_trimmed_and_its_blanks_are_made_one() -> None:
    assert name("  Ломова \u00a0\u202f\u2009 Ирина\u3000") == "Ломова Ирина"
    assert name("и\u0306од") == "йод"
    assert name("«Ёлочка» — № 1") == "«Ёлочка» — № 1"


def test_text_has_a_length() -> None:
    assert name("я" * 20) == "я" * 20
    assert refused(name, "я" * 21)
    assert refused(name, "я" * 1_000_000)
    assert name("и\u0306" * 20) == "й" * 20


def test_an_empty_text_is_refused_where_it_is_required() -> None:
    for typed in ("", " ", "\u00a0 \u3000"):
        assert refused(name, typed)
        assert checks.text(20, required=False)(typed) == ""


@given(st.text(max_size=30))
def test_any_text_has_one_spelling_or_is_refused(typed: str) -> None:
    try:
        found = name(typed)
    except BadValueError:
        return
    assert name(found) == found
    assert found.isprintable()
    assert found == found.strip()
    assert 0 < len(found) <= 20
    assert unicodedata.is_normalized("NFC", found)
