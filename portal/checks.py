"""Whether a value is what it should be, and its one spelling.

Forms and the import ask the same functions. Each takes text as a person typed it and returns the
spelling that is stored, or raises BadValueError with a sentence that can be shown beside a field.
"""

import re
import unicodedata
from collections.abc import Callable

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import PhoneNumberType
from stdnum.ru import inn as stdnum_inn

from portal import config
from portal.language import gettext as _

KPP = re.compile(r"[0-9]{4}[0-9A-Z]{2}[0-9]{3}")
ORGANISATION_ID = re.compile(r"[A-Za-zА-Яа-яЁё0-9-]{1,40}")
FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
BLANKS = re.compile(r"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
PHONE = re.compile(r"[0-9+(). \u00a0\u2009\u202f\-‐‑‒–—]{1,40}")
# What mail programs make a link of, with or without its scheme; «пос.Мира/2» is none.
LINK = re.compile(
    r"://|\bwww\.|\.(?:[a-z]{2,}|xn--[a-z0-9-]+|рф|рус|онлайн|сайт)(?::\d+)?[/?#]",
    re.IGNORECASE,
)
LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3


class BadValueError(ValueError):
    """What is wrong with a value and what to do, in a sentence."""


def text(longest: int, *, required: bool = True) -> Callable[[str], str]:
    """A check for one line of text, `longest` characters at most."""

    def check(value: str) -> str:
        value = one_line(value)
        if required and not value:
            raise BadValueError(_("Заполните поле."))
        if len(value) > longest:
            raise BadValueError(_("Слишком длинно: не больше %(count)s знаков.", count=longest))
        if value.startswith(FORMULA_SIGNS):
            # Such text becomes a formula in the spreadsheet of whoever exports it.
            raise BadValueError(
                _("Значение не может начинаться со знака «%(sign)s».", sign=value[0])
            )
        if has_link(value):
            raise BadValueError(_("Здесь не может быть ссылки."))
        return value

    return check


def has_link(value: str) -> bool:
    """Whether text, which may stand in letters of the portal, would lead somebody elsewhere."""
    return LINK.search(value) is not None


def one_line(value: str) -> str:
    """Text with its ends trimmed and runs of blanks made one; refuses what is no text."""
    value = BLANKS.sub(" ", unicodedata.normalize("NFC", value)).strip(" \t")
    # What cannot be seen can mislead: marks of direction and of no width are refused as well.
    if not value.isprintable() or "\ufffd" in value:
        raise BadValueError(_("Уберите переносы строк и непечатаемые знаки."))
    return value


def organisation_id(value: str) -> str:
    """The ID by which support knows an organisation."""
    value = value.strip()
    if not ORGANISATION_ID.fullmatch(value):
        raise BadValueError(_("ID состоит из букв, цифр и дефисов, не больше 40 знаков."))
    return value


def inn(value: str) -> str:
    """An ИНН: 10 digits of an organisation or 12 of a sole proprietor, the last ones control."""
    value = _digits(value)
    if len(value) not in {10, 12}:
        raise BadValueError(_("ИНН состоит из 10 или 12 цифр."))
    if not stdnum_inn.is_valid(value) or not value.strip("0"):
        raise BadValueError(_("Контрольные цифры ИНН не сходятся. Проверьте, нет ли опечатки."))
    return value


def ogrn(value: str) -> str:
    """An ОГРН of 13 digits or an ОГРНИП of 15, the last one control."""
    value = _digits(value)
    if len(value) not in {13, 15}:
        raise BadValueError(_("ОГРН состоит из 13 цифр, ОГРНИП — из 15."))
    # python-stdnum refuses the ОГРНИП whose remainder is 10, 11 or 12: its last digit counts.
    divisor, first = (11, "123456789") if len(value) == 13 else (13, "34")
    if int(value[:-1]) % divisor % 10 != int(value[-1]) or value[0] not in first:
        raise BadValueError(_("Контрольная цифра ОГРН не сходится. Проверьте, нет ли опечатки."))
    return value


def kpp(value: str) -> str:
    """A КПП by its form; empty for a sole proprietor."""
    value = value.strip()
    if value and not KPP.fullmatch(value):
        raise BadValueError(
            _(
                "КПП состоит из 9 знаков: это цифры, "
                "на пятом и шестом местах возможны и латинские буквы."
            )
        )
    return value


def phone(value: str) -> str:
    """A mobile number of one of the allowed regions, in E.164.

    product.md, «Numbers»: +7 mobile numbers of the Russian plan, others by an explicit list.
    """
    regions = config.settings.phone_regions
    try:
        # Asked first, for phonenumbers also reads letters, full-width digits and extensions.
        number = PHONE.fullmatch(value.strip()) and phonenumbers.parse(value.strip(), regions[0])
    except phonenumbers.NumberParseException:
        number = None
    if not number:
        raise BadValueError(_("Введите номер полностью, например +7 921 555-01-47."))
    region = phonenumbers.region_code_for_number(number)
    if not phonenumbers.is_valid_number(number) or region not in regions:
        raise BadValueError(
            _("Такого номера нет. Введите мобильный номер, например +7 921 555-01-47.")
        )
    kind = phonenumbers.number_type(number)
    if kind not in {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}:
        raise BadValueError(_("На этот номер нельзя отправить СМС. Введите мобильный номер."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email(value: str) -> str:
    """An address that any mail server takes: ASCII before the @, a domain that may be .рф."""
    value = value.strip()
    try:
        checked = validate_email(
            value[: LONGEST_EMAIL + 1],
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,  # 64 characters before the @, RFC 5321, 4.5.3.1.1
        )
    except EmailNotValidError:
        raise BadValueError(_("Введите адрес полностью, например i.lomova@example.ru.")) from None
    if value.startswith(FORMULA_SIGNS):
        raise BadValueError(_("Значение не может начинаться со знака «%(sign)s».", sign=value[0]))
    return checked.normalized


def display_phone(number: str) -> str:
    """A number as people write it: +7 921 555-01-47."""
    if number.startswith("+7") and len(number) == 12:
        return f"+7 {number[2:5]} {number[5:8]}-{number[8:10]}-{number[10:]}"
    parsed = phonenumbers.parse(number)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _digits(value: str) -> str:
    value = value.strip()
    if not (value.isascii() and value.isdigit()):
        raise BadValueError(_("Здесь могут быть только цифры."))
    return value
