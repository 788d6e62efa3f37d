"""The account as a noun: who has one, passwords, invitations, changes, and the letters about it."""

from __future__ import annotations

import ast
import json
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.expression import SelectBase, UpdateBase

from portal import account, checks, clock, config, journal
from portal.account import (
    Account,
    Invited,
    NotAllowedError,
    Role,
    changes,
    links,
    password,
    session,
    sign_in,
)
from portal.account import account as nouns
from portal.account.links import INVITATION, RESET
from portal.account.session import Stage
from portal.account.sign_in import Entry
from portal.account.tables import account_changes, account_links, accounts, wrong_passwords
from portal.checks import BadValueError
from portal.database import db
from portal.outbox import messages
from portal.outbox.delivering import template
from tests import passwords
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Post, Time

PORTAL = Path(__file__).parents[1] / "portal"
ADDRESS = "10.20.4.17"
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/145.0"
EMAIL = "p.orlova@izkt.example"
NAME = "Орлова Полина Сергеевна"
PASSWORD = "семь рыжих тракторов едут"
OTHER = "восемь синих кранов стоят"
NEW_KEY = b"another key of thirty-two bytes!"
TEXT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@db.again
def act(verb: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """One step in a transaction of its own, as a request takes it."""
    with db.writing():
        outcome = verb(*arguments, **named)
        db.commit()
    return outcome


def look(verb: Callable[..., Any], *arguments: Any) -> Any:
    with db.reading():
        return verb(*arguments)


def rows(table: Any) -> list[Any]:
    with db.reading():
        return db.all(select(table))


def count(*tables: Any) -> list[int]:
    return [len(rows(table)) for table in tables]


def find(email: str = EMAIL) -> Account:
    found = look(account.find_by_email, email)
    assert isinstance(found, Account)
    return found


def words(letter: str) -> dict[str, Any]:
    """What the newest letter of that name says."""
    posted = [row for row in rows(messages) if row.letter == letter and row.words]
    newest = max(posted, key=lambda row: row.posted_at)
    return dict(json.loads(newest.words))


def events(of: Account) -> Counter[str]:
    return Counter(row.name for row in rows(journal.events) if row.chain == of.chain)


def told(to: str) -> list[str]:
    """The changes that letters to an address tell of."""
    return [
        json.loads(row.words)["event"]
        for row in sorted(rows(messages), key=lambda row: row.posted_at)
        if row.letter == "account_event" and row.recipient == to
    ]


def invite(
    email: str = EMAIL,
    role: Role = Role.SPECIALIST,
    organisation_id: str | None = None,
    name: str = NAME,
    phone: str = "",
) -> Invited:
    outcome = act(account.invite, email, role, organisation_id, name, phone, "tests")
    assert isinstance(outcome, Invited)
    return outcome


def link(purpose: str, letter: str = "") -> tuple[str, Account] | None:
    """The link in the newest letter, if it works."""
    token = words(letter or purpose)["token"]
    found: tuple[str, Account] | None = look(links.find_link, purpose, token)
    return found


def choose(purpose: str, chosen: str = PASSWORD) -> Any:
    found = link(purpose)
    assert found, "the link works"
    return act(links.choose_password, purpose, *found, chosen, ADDRESS, AGENT)


def enter(email: str = EMAIL, typed: str = PASSWORD) -> Entry:
    entry = act(sign_in.enter, email, typed, ADDRESS, AGENT)
    assert isinstance(entry, Entry)
    return entry


def is_in(entry: Entry) -> bool:
    return entry.token is not None


@pytest.fixture
def organisations(keep: Callable[..., None]) -> None:
    keep("ORG-1")
    keep("ORG-2", email="other@sever-trakt.example")


@pytest.fixture
def person(app: Flask) -> Account:
    """A specialist who followed the invitation and enrolled a device."""
    invite()
    choose(INVITATION)
    act(links.use_invitation, find())
    act(session.end_all, find())
    return find()


@pytest.fixture
def rotate(app: Flask) -> Iterator[Callable[[], None]]:
    """Put a new data key in front of the old one."""
    before = config.settings
    yield lambda: config.use(
        replace(config.settings, data_keys=(NEW_KEY, *config.settings.data_keys))
    )
    config.use(before)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that Argon2 was asked to compare with, one for each time."""
    asked: list[str] = []
    real = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        asked.append(str(hash))
        return bool(real(self, hash, password))

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    return asked


# Who has an account


@pytest.mark.parametrize(
    "typed",
    [
        "o.gromov@почта.рф",
        "O.Gromov@Почта.РФ",
        "  o.gromov@почта.рф\t\n",
        "\N{NO-BREAK SPACE}o.gromov@почта.рф",
        "o.gromov@xn--80a1acny.xn--p1ai",
        "O.GROMOV@XN--80A1ACNY.XN--P1AI",
    ],
)
def test_an_email_finds_its_account_however_it_is_typed(app: Flask, typed: str) -> None:
    invite(checks.email("o.gromov@почта.рф"))
    assert find(typed).email == "o.gromov@почта.рф"


@TEXT
@given(st.text(st.characters(codec="utf-8"), max_size=300))
@example("a@b.example" + " " * 300)
@example("a" * 70_000 + "@izkt.example")
@example("\0")
@example("@")
def test_what_nobody_has_finds_nobody(app: Flask, typed: str) -> None:
    assert look(account.find_by_email, typed) is None


def test_what_follows_254_characters_is_not_cut_off_to_fit(app: Flask) -> None:
    longest = f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 8}"
    assert len(longest) == 254
    invite(checks.email(longest))
    assert find(longest).email == longest
    assert look(account.find_by_email, longest + "x") is None
    assert not is_in(enter(longest + "x"))


def test_an_account_is_found_after_the_data_key_was_rotated(
    person: Account, rotate: Callable[[], None]
) -> None:
    rotate()
    assert find().name == NAME
    assert is_in(enter())
    act(account.change, person, "email", "new@izkt.example", "tests")
    assert find("new@izkt.example").id == person.id


def test_an_email_has_one_account(
    person: Account, rotate: Callable[[], None], organisations: None
) -> None:
    for _key in range(2):
        for typed in (EMAIL, EMAIL.upper()):
            with pytest.raises(NotAllowedError):
                act(account.create, typed, Role.SPECIALIST, None, "", "", "tests")
        rotate()
    invite("second@izkt.example")
    with pytest.raises(NotAllowedError):
        act(account.change, find("second@izkt.example"), "email", EMAIL.upper(), "tests")
    assert find().id == person.id
    assert find("second@izkt.example").email == "second@izkt.example"


@pytest.mark.parametrize(
    ("role", "organisation_id"),
    [
        (Role.SPECIALIST, "ORG-1"),
        *((role, None) for role in Role if role is not Role.SPECIALIST),
    ],
)
def test_a_role_that_does_not_fit_is_refused_in_a_sentence(
    organisations: None, role: Role, organisation_id: str | None
) -> None:
    with pytest.raises(NotAllowedError, match=r"^[А-Я].+\.$"):
        invite(role=role, organisation_id=organisation_id)
    assert rows(accounts) == rows(messages) == []


@pytest.mark.parametrize("role", sorted(account.OPERATIONAL))
def test_who_is_operational_works_in_one_organisation(organisations: None, role: Role) -> None:
    invite(role=role, organisation_id="ORG-1")
    with pytest.raises(NotAllowedError):
        invite(role=role, organisation_id="ORG-2")
    with pytest.raises(NotAllowedError):
        act(account.join, find(), "ORG-2", "tests")
    assert find().organisations == ("ORG-1",)


def test_an_administrator_may_have_several_organisations(organisations: None) -> None:
    for id in ("ORG-2", "ORG-1"):
        invite(role=Role.ADMINISTRATOR, organisation_id=id)
    assert find().organisations == ("ORG-1", "ORG-2")
    assert [each.id for each in look(account.administrators_of, "ORG-2")] == [find().id]
    for role in (Role.SPECIALIST, Role.OPERATOR):
        with pytest.raises(NotAllowedError):
            act(account.change_role, find(), role, "tests")
    assert find().role is Role.ADMINISTRATOR


def test_a_specialist_joins_no_organisation(organisations: None) -> None:
    invite()
    with pytest.raises(NotAllowedError):
        invite(organisation_id="ORG-1")
    assert find().organisations == ()


def test_every_role_has_a_name(app: Flask) -> None:
    assert account.ROLE_NAMES.keys() == set(Role)
    assert set(Role) == account.OPERATIONAL | account.STAFF


# Invitations


def test_an_invitation_is_a_letter_with_a_link(organisations: None) -> None:
    assert invite(role=Role.OPERATOR, organisation_id="ORG-1", phone="+79215550111") is Invited.NEW
    made = find()
    assert (made.email, made.name, made.phone) == (EMAIL, NAME, "+79215550111")
    assert not made.has_password
    said = words("invitation")
    assert said["person"] == NAME
    assert said["role"] == "Оператор"
    assert said["organisations"] == [LOMOVA.short_name]
    found = link(INVITATION)
    assert found
    assert found[1].id == made.id
    assert list(events(made)) == ["account.created", "account.joined", "account.invited"]


def test_a_newer_invitation_retires_the_older_one(app: Flask, post: Post) -> None:
    invite()
    older = words("invitation")["token"]
    assert invite() is Invited.AGAIN
    assert look(links.find_link, INVITATION, older) is None
    assert link(INVITATION)
    assert len(post.letters(EMAIL)) == 1, "the older letter had not left, and never will"


def test_who_came_gets_no_letter_when_invited_again(person: Account) -> None:
    before = count(messages, account_links)
    assert invite() is Invited.ALREADY
    assert count(messages, account_links) == before


def test_who_signs_in_already_joins_another_organisation(organisations: None) -> None:
    invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1")
    choose(INVITATION)
    before = count(messages)
    assert invite(role=Role.ADMINISTRATOR, organisation_id="ORG-2") is Invited.JOINED
    assert invite(role=Role.ADMINISTRATOR, organisation_id="ORG-2") is Invited.ALREADY
    assert count(messages) == before
    assert find().organisations == ("ORG-1", "ORG-2")


def test_who_did_not_come_yet_is_told_of_every_organisation(organisations: None) -> None:
    invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1")
    assert invite(role=Role.ADMINISTRATOR, organisation_id="ORG-2") is Invited.AGAIN
    assert words("invitation")["organisations"] == [LOMOVA.short_name] * 2


def test_an_email_with_another_role_is_not_invited(organisations: None) -> None:
    invite()
    with pytest.raises(NotAllowedError, match="Специалист"):
        invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1")
    assert count(messages) == [1]


def test_what_is_known_of_an_invited_person_stays(organisations: None) -> None:
    invite(phone="+79215550111")
    invite(name="Другая", phone="+79215550222")
    assert (find().name, find().phone) == (NAME, "+79215550111")


def test_an_invitation_works_until_the_device_is_enrolled(app: Flask) -> None:
    invite()
    first = choose(INVITATION)
    assert look(session.find, first).stage is Stage.ENROLMENT
    second = choose(INVITATION, OTHER)
    assert look(session.find, first) is None, "who begins again begins anew"
    assert is_in(enter(typed=OTHER))
    assert not is_in(enter(typed=PASSWORD))
    followed = link(INVITATION)
    assert followed
    assert look(session.find, second).link_id == followed[0]
    act(links.use_invitation, find())
    assert look(links.find_link_by_id, INVITATION, followed[0]) is None


def test_an_invitation_ends_after_seven_days(app: Flask, time: Time) -> None:
    invite()
    time.passes(days=7, seconds=-5)
    assert link(INVITATION)
    time.passes(seconds=5)
    assert link(INVITATION) is None


def test_a_link_that_died_meanwhile_chooses_nothing(app: Flask, time: Time) -> None:
    invite()
    followed = link(INVITATION)
    assert followed
    invite()
    with pytest.raises(NotAllowedError):
        act(links.choose_password, INVITATION, *followed, PASSWORD, ADDRESS, AGENT)
    invite("second@izkt.example")
    strangers = link(INVITATION)
    assert strangers
    for stolen in ((strangers[0], find()), ("", find()), ("x" * 22, find())):
        with pytest.raises(NotAllowedError):
            act(links.choose_password, INVITATION, *stolen, PASSWORD, ADDRESS, AGENT)
    assert not find().has_password


def test_an_invitation_is_sent_once_while_it_works(app: Flask, time: Time) -> None:
    with db.writing():
        made, outcome = account.admit(EMAIL, Role.SPECIALIST, None, NAME, "", "tests")
        db.commit()
    assert outcome is Invited.NEW
    assert rows(messages) == []
    assert act(account.invite_once, made, "tests")
    assert not act(account.invite_once, made, "tests")
    time.passes(days=7)
    assert act(account.invite_once, made, "tests")
    choose(INVITATION)
    act(links.use_invitation, find())
    assert not act(account.invite_once, find(), "tests")
    assert count(messages) == [2]


def test_an_invitation_is_not_asked_for_too_often(app: Flask, time: Time) -> None:
    invite()
    choose(INVITATION)
    assert act(links.invite_again, find(), find().id, "")
    assert not act(links.invite_again, find(), find().id, "")
    for _minute in range(4):
        time.passes(seconds=60)
        assert act(links.invite_again, find(), find().id, "")
    time.passes(seconds=60)
    assert not act(links.invite_again, find(), find().id, "")
    assert link(INVITATION), "what did not come anew still works"
    time.passes(hours=24)
    assert act(links.invite_again, find(), find().id, "")


def test_a_token_of_one_kind_is_worth_nothing_as_another(person: Account) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    token = words("password")["token"]
    assert look(links.find_link, RESET, token)
    assert look(links.find_link, INVITATION, token) is None
    found = look(links.find_link, RESET, token)
    assert look(links.find_link_by_id, INVITATION, found[0]) is None
    with pytest.raises(NotAllowedError):
        act(links.choose_password, INVITATION, *found, OTHER, ADDRESS, AGENT)


@TEXT
@given(st.text(st.characters(codec="utf-8"), max_size=80))
@example("")
@example("." * 22 + "." + "x" * 43)
def test_a_forged_token_opens_nothing(app: Flask, token: str) -> None:
    for purpose in (INVITATION, RESET):
        assert look(links.find_link, purpose, token) is None
        assert look(links.find_link_by_id, purpose, token) is None


# What makes a password


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ("", "Слишком короткий"),
        ("одиннадцат!", "Слишком короткий"),
        ("e\N{COMBINING ACUTE ACCENT}" * 11, "Слишком короткий"),
        ("x7#" * 43, "Слишком длинный"),
        ("x7#" * 100_000, "Слишком длинный"),
        ("\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}" * 50_000, "Слишком длинный"),
        ("passwordpassword", "легко подобрать"),
        ("Qwertyuiop[]", "легко подобрать"),
        ("йцукенгшщзхъ", "легко подобрать"),
        ("парольпароль", "легко подобрать"),
        ("gfhjkmgfhjkm", "легко подобрать"),
        ("123456789012", "легко подобрать"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "легко подобрать"),
        ("ß" * 128, "легко подобрать"),
        (EMAIL, "легко подобрать"),
        (EMAIL.upper(), "легко подобрать"),
        ("орлова-орлова", "легко подобрать"),
        ("Орлова_Полина", "легко подобрать"),
        ("- " * 10 + "1 2 3 4", "легко подобрать"),
        (" " * 20, "легко подобрать"),
        ("jhkjdfjhkjdf", "легко подобрать"),  # орлова, twice, on Latin keys
        (NAME.casefold(), "легко подобрать"),
        ("тахографтахограф", "легко подобрать"),
    ],
)
def test_a_bad_password_is_refused_in_a_sentence(chosen: str, reason: str) -> None:
    with pytest.raises(BadValueError, match=reason):
        password.check(chosen, (EMAIL, NAME))


def test_the_name_of_the_own_organisation_is_no_password(organisations: None) -> None:
    invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1")
    found = link(INVITATION)
    assert found
    for chosen in ("северный тракт", "ORG-1ORG-1ORG-1", LOMOVA.short_name):
        with pytest.raises(BadValueError):
            act(links.choose_password, INVITATION, *found, chosen, ADDRESS, AGENT)
    assert not find().has_password


@pytest.fixture(autouse=True)
def own_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords here are kept as the portal keeps them, not with the least work."""
    monkeypatch.setattr(password, "_HASHER", passwords.OWN)


@pytest.mark.parametrize(
    "chosen",
    [
        PASSWORD,
        "x7#Kq9!mZ2$v",  # twelve
        "корова летит " * 9 + "на восток!!",  # 128
        "  семь рыжих тракторов  ",
        "\N{TRACTOR}\N{COW}" * 3 + "семь рыжих",
        "семь\0рыжих\0тракторов",
        "кактус.09790\n52.",  # in which zxcvbn looks for a date
        "e\N{COMBINING ACUTE ACCENT}x7#Kq9!mZ2$vP",
    ],
)
def test_a_good_password_is_kept_as_it_was_typed(chosen: str) -> None:
    kept = password.hash(password.check(chosen, (EMAIL, NAME)))
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    for form in ("NFC", "NFD"):
        assert password.is_right(kept, unicodedata.normalize(form, chosen))
    for wrong in (chosen.strip() + "x", chosen[:-1], f" {chosen}", chosen.replace("\0", ""), ""):
        assert wrong == chosen or not password.is_right(kept, wrong)


def test_what_is_beyond_128_characters_is_never_right() -> None:
    longest = ("x7#Kq9!m" * 16)[:128]
    kept = password.hash(password.check(longest, ()))
    assert password.is_right(kept, longest)
    for typed in (longest + "x", longest * 2, "\N{COMBINING ACUTE ACCENT}" * 100_000):
        assert not password.is_right(kept, typed)
    empty = password.hash("")
    assert not password.is_right(kept, "")
    assert password.is_right(empty, longest + "x"), "which is why no empty one is ever kept"


@given(st.text(st.characters(codec="utf-8"), max_size=200))
@example("\N{GREEK SMALL LETTER ALPHA WITH PSILI AND VARIA AND YPOGEGRAMMENI}" * 128)
def test_no_spelling_of_128_characters_is_too_long_to_be_looked_at(text: str) -> None:
    for form in ("NFC", "NFD"):
        spelled = unicodedata.normalize(form, text)
        ratio = password.LONGEST_TYPED / password.LONGEST
        assert len(spelled) <= ratio * len(unicodedata.normalize("NFC", text))


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=140))
def test_any_text_is_kept_or_refused(text: str) -> None:
    try:
        good = password.check(text, (EMAIL, NAME))
    except BadValueError:
        return
    assert password.is_right(password.hash(good), unicodedata.normalize("NFD", text))
    assert not password.is_common(good, (EMAIL, NAME))


def test_a_broken_hash_is_nobodys() -> None:
    for stored in ("", "x", "$argon2id$v=19$m=19456", password.NOBODYS + "x"):
        assert not password.is_right(stored, PASSWORD)
    assert not password.is_right(None, "")


# Email and password


def test_the_right_password_begins_a_session_that_lacks_the_second_factor(person: Account) -> None:
    entry = enter(f" {EMAIL.upper()} ")
    assert entry.token
    begun = look(session.find, entry.token)
    assert begun.stage is Stage.PASSWORD
    assert begun.account.id == person.id
    assert (begun.address, begun.agent, begun.factor) == (ADDRESS, AGENT, None)


def test_known_and_unknown_emails_get_the_same_answer_after_the_same_work(
    person: Account, organisations: None, compared: list[str]
) -> None:
    invite("invited@izkt.example")
    emails = (EMAIL, "invited@izkt.example", "nobody@izkt.example", "no email", "")
    assert [enter(email, "wrong") for email in emails] == [Entry()] * 5
    assert compared == [person.password] + [password.NOBODYS] * 4
    assert count(wrong_passwords) == [5]
    compared.clear()
    assert [enter(email, "x" * 100_000) for email in emails] == [Entry()] * 5
    assert len(compared) == 5


def test_ten_wrong_passwords_in_a_row_pause_any_email_for_15_minutes(
    person: Account, compared: list[str], time: Time
) -> None:
    for email in (EMAIL, "nobody@izkt.example"):
        spellings = (email, f" {email}", email.upper(), email.title())
        for number in range(9):
            assert enter(spellings[number % 4], "wrong") == Entry(), number
        tenth = enter(email, "wrong")
        assert tenth.pause
        assert tenth.pause.until == pytest.approx(clock.now() + timedelta(minutes=15), abs=A_BIT)
        compared.clear()
        assert enter(email) == Entry(pause=tenth.pause)
        assert compared == [], "nothing is compared in the pause, not even what is right"
    time.passes(minutes=15)
    assert is_in(enter())
    assert enter("nobody@izkt.example") == Entry()


A_BIT = timedelta(seconds=5)


def test_after_a_pause_ten_more_are_judged(app: Flask, time: Time) -> None:
    for _pause in range(2):
        for _try in range(9):
            assert enter(typed="wrong") == Entry()
        assert enter(typed="wrong").pause
        time.passes(minutes=15)


def test_the_right_password_begins_the_count_anew(person: Account) -> None:
    for _round in range(2):
        for _try in range(9):
            assert enter(typed="wrong") == Entry()
        assert is_in(enter())


def test_wrong_passwords_of_one_email_pause_no_other(person: Account) -> None:
    for _try in range(10):
        enter("nobody@izkt.example", "wrong")
    assert is_in(enter())


def test_of_fifty_wrong_passwords_at_once_ten_are_judged(
    person: Account, compared: list[str]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: enter(typed="wrong"), range(50)))
    assert len(compared) == 10
    assert Counter(entry.pause is not None for entry in entries) == {False: 9, True: 41}
    assert events(person)["password.wrong"] == 10


def test_a_pause_holds_though_the_data_key_was_rotated(
    person: Account, rotate: Callable[[], None]
) -> None:
    for email in (EMAIL, "nobody@izkt.example"):
        for _try in range(5):
            enter(email, "wrong")
    rotate()
    for email in (EMAIL, "nobody@izkt.example"):
        for _try in range(4):
            assert enter(email, "wrong") == Entry()
        assert enter(email, "wrong").pause
    rotate()
    assert enter().pause
    assert count(wrong_passwords) == [2]


def test_who_was_invited_and_chose_no_password_cannot_sign_in(app: Flask) -> None:
    invite()
    for typed in ("", PASSWORD, "None"):
        assert enter(typed=typed) == Entry()


@settings(TEXT, max_examples=20)
@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_whatever_a_stranger_types_is_no_entry(app: Flask, email: str, typed: str) -> None:
    entry = enter(email, typed)
    assert entry.token is None
    assert entry.account is None


# How a password is kept


def stored() -> str:
    return str(find().password)


def store(hash: str) -> None:
    act(db.execute, accounts.update().values(password=hash))


@pytest.mark.parametrize(
    "weaker",
    [
        PasswordHasher(memory_cost=8 * 1024, time_cost=2, parallelism=1),
        PasswordHasher(memory_cost=19 * 1024, time_cost=1, parallelism=1),
        PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1, hash_len=16),
        PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1, salt_len=8),
    ],
)
def test_a_hash_that_is_weaker_than_todays_is_made_anew(
    person: Account, weaker: PasswordHasher
) -> None:
    store(weaker.hash(PASSWORD))
    assert not is_in(enter(typed="wrong"))
    assert find().password != person.password
    assert password.is_outdated(stored()), "a wrong password makes nothing anew"
    assert is_in(enter(typed=unicodedata.normalize("NFD", PASSWORD)))
    assert not password.is_outdated(stored())
    kept = stored()
    assert is_in(enter())
    assert stored() == kept


def test_a_hash_that_is_stronger_than_todays_stays(person: Account) -> None:
    stronger = PasswordHasher(memory_cost=20 * 1024, time_cost=3, parallelism=1).hash(PASSWORD)
    store(stronger)
    assert is_in(enter())
    assert stored() == stronger


# A forgotten password


def test_a_new_password_is_chosen_once_by_the_link_in_the_letter(person: Account) -> None:
    signed_in = enter()
    act(links.request_reset, f" {EMAIL.upper()} ", ADDRESS)
    followed = link(RESET)
    assert choose(RESET, OTHER) is None
    assert link(RESET) is None
    with pytest.raises(NotAllowedError):
        act(links.choose_password, RESET, *followed, PASSWORD, ADDRESS, AGENT)  # type: ignore[misc]
    assert look(session.find, signed_in.token) is None, "all sessions end"
    assert not is_in(enter(typed=PASSWORD))
    assert is_in(enter(typed=OTHER))
    assert told(EMAIL) == ["password.changed"]
    assert words("account_event")["address"] == ADDRESS
    assert events(person) >= Counter({"password.forgotten": 1, "password.chosen": 2})


def test_of_many_that_follow_a_link_at_once_one_chooses(person: Account) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    followed = link(RESET)
    assert followed

    def follow(number: int) -> bool:
        chosen = f"{PASSWORD} {number}"
        try:
            act(links.choose_password, RESET, *followed, chosen, ADDRESS, AGENT)
        except NotAllowedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(follow, range(8))) == 1


def test_a_link_to_a_new_password_works_for_an_hour(person: Account, time: Time) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    time.passes(hours=1, seconds=-5)
    followed = link(RESET)
    assert followed
    time.passes(seconds=5)
    assert link(RESET) is None
    with pytest.raises(NotAllowedError):
        act(links.choose_password, RESET, *followed, OTHER, ADDRESS, AGENT)
    assert is_in(enter())


def test_a_strangers_request_takes_no_link_from_the_owner(person: Account, time: Time) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    older = words("password")["token"]
    time.passes(seconds=60)
    act(links.request_reset, EMAIL, ADDRESS)
    assert look(links.find_link, RESET, older)
    choose(RESET, OTHER)
    assert look(links.find_link, RESET, older) is None, "a new password ends all of them"


def test_a_bad_new_password_leaves_the_link(person: Account) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    followed = link(RESET)
    for bad in ("short", "passwordpassword", EMAIL):
        with pytest.raises(BadValueError):
            act(links.choose_password, RESET, *followed, bad, ADDRESS, AGENT)  # type: ignore[misc]
    choose(RESET, OTHER)
    assert is_in(enter(typed=OTHER))


def test_a_letter_is_not_asked_for_too_often(person: Account, time: Time) -> None:
    for _minute in range(7):
        for typed in (EMAIL, f" {EMAIL.upper()}"):
            act(links.request_reset, typed, ADDRESS)
        time.passes(seconds=60)
    letters = [row for row in rows(messages) if row.letter == "password"]
    assert len(letters) == 5
    assert link(RESET), "the newest works"


@pytest.mark.parametrize("email", ["nobody@izkt.example", "invited@izkt.example", "no email"])
def test_an_email_without_a_password_leaves_the_same_rows_and_no_letter(
    person: Account, post: Post, email: str
) -> None:
    invite("invited@izkt.example")
    post.deliver()
    tables = (account_links, messages)

    def added(by: str) -> list[int]:
        before = count(*tables)
        act(links.request_reset, by, ADDRESS)
        return [new - old for new, old in zip(count(*tables), before, strict=True)]

    assert added(email) == added(EMAIL) == [1, 1]
    assert added(email) == added(EMAIL) == [0, 0], "again, too early"
    arrived = len(post.email.arrived)
    post.deliver()
    assert [each.recipient for each in post.email.arrived[arrived:]] == [EMAIL]
    nobodys = [row for row in rows(messages) if row.account_id is None]
    assert [(row.recipient, row.words, row.due_at) for row in nobodys] == [("", None, None)]
    if email.startswith("invited"):
        assert look(links.is_invited, find(email)), "the invitation stays as it was"


def test_a_new_password_lifts_no_pause_and_no_second_factor(person: Account) -> None:
    for _try in range(10):
        enter(typed="wrong")
    act(db.execute, accounts.update().values(wrong_factors=7))
    act(links.request_reset, EMAIL, ADDRESS)
    choose(RESET, OTHER)
    assert enter(typed=OTHER).pause
    assert find().wrong_factors == 7


# Changes


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Громова Полина Сергеевна"), ("phone", "+79215550199"), ("phone", "")],
)
def test_a_change_keeps_what_was_and_tells_the_owner(
    person: Account, field: str, value: str
) -> None:
    act(account.change, person, "phone", "+79215550111", "tests")
    before, old = find(), getattr(find(), field)
    act(account.change, before, field, value, "tests")
    assert getattr(find(), field) == value
    last = look(account.changes_of, find())[-1]
    assert (last.field, last.old) == (field, old)
    assert told(EMAIL)[-1] == f"{field}.changed"
    assert events(person)["account.changed"] == 2


def test_another_email_is_told_at_both_addresses(person: Account) -> None:
    act(account.change, person, "email", "new@izkt.example", "tests")
    assert look(account.find_by_email, EMAIL) is None
    assert find("new@izkt.example").id == person.id
    assert told(EMAIL) == told("new@izkt.example") == ["email.changed"]
    assert look(account.changes_of, person) == [("email", EMAIL, rows(account_changes)[0][-1])]
    assert is_in(enter("new@izkt.example"))
    assert not is_in(enter(EMAIL))


def test_who_got_anothers_invitation_keeps_no_password(app: Flask) -> None:
    invite("typo@stranger.example")
    token = words("invitation")["token"]
    found = look(links.find_link, INVITATION, token)
    act(links.choose_password, INVITATION, *found, OTHER, ADDRESS, AGENT)
    act(account.change, look(account.find_by_email, "typo@stranger.example"), "email", EMAIL, "t")
    assert enter(EMAIL, OTHER) == Entry()


def test_a_change_to_the_same_is_none(person: Account) -> None:
    before = count(account_changes, messages, journal.events)
    for field in ("email", "name", "phone"):
        act(account.change, person, field, getattr(person, field), "tests")
    act(account.change_role, person, person.role, "tests")
    assert count(account_changes, messages, journal.events) == before


def test_the_case_of_an_own_email_may_change(person: Account) -> None:
    act(account.change, person, "email", EMAIL.upper(), "tests")
    assert find().email == EMAIL.upper()


def test_links_at_the_old_email_are_dead(person: Account, post: Post) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    act(account.change, person, "email", "new@izkt.example", "tests")
    with db.reading():
        assert db.one(select(account_links).where(account_links.c.used_at.is_(None))) is None
    assert "Новый пароль" not in [each.subject for each in post.letters(EMAIL)]


def test_who_was_invited_to_a_wrong_address_is_invited_at_the_right_one(
    app: Flask, post: Post
) -> None:
    invite()
    older = words("invitation")["token"]
    act(account.change, find(), "email", "new@izkt.example", "tests")
    assert look(links.find_link, INVITATION, older) is None
    assert link(INVITATION)
    letters = post.letters("new@izkt.example")
    assert [each.subject for each in letters] == ["Приглашение в портал ИЗКТ"]
    assert [each.subject for each in post.letters(EMAIL)] == ["Изменён email"]


def test_who_chose_a_password_at_a_wrong_address_is_out(app: Flask, post: Post) -> None:
    invite()
    token = choose(INVITATION)
    assert look(session.find, token)
    act(account.change, find(), "email", "new@izkt.example", "tests")
    assert look(session.find, token) is None
    letters = post.letters("new@izkt.example")
    assert [each.subject for each in letters] == ["Приглашение в портал ИЗКТ"]


def test_only_name_email_and_phone_are_changed_so(person: Account) -> None:
    for field in ("role", "password", "id"):
        with pytest.raises(KeyError):
            act(account.change, person, field, "administrator", "tests")
    assert find().role is Role.SPECIALIST


def test_another_role_ends_every_session(organisations: None) -> None:
    invite(role=Role.OPERATOR, organisation_id="ORG-1")
    choose(INVITATION)
    tokens = [enter().token for _browser in range(2)]
    act(account.change_role, find(), Role.MANAGER, "tests")
    assert find().role is Role.MANAGER
    assert [look(session.find, token) for token in tokens] == [None, None]
    assert told(EMAIL) == ["role.changed"]
    assert events(find())["role.changed"] == 1


def test_an_email_is_new_for_seven_days(person: Account, time: Time) -> None:
    act(account.change, person, "name", "Громова Полина", "tests")
    assert not look(account.has_new_email, person)
    act(account.change, person, "email", "new@izkt.example", "tests")
    assert look(account.has_new_email, person)
    time.passes(days=7, seconds=-5)
    assert look(account.has_new_email, person)
    time.passes(seconds=5)
    assert not look(account.has_new_email, person)


# Letters


def render(name: str, **words: Any) -> tuple[str, str, str]:
    """A letter as the worker writes it: subject, text, HTML."""
    subject, _, text = template(f"letters/{name}.txt").render(words).strip().partition("\n")
    html = template(f"letters/{name}.html").render(words | {"subject": subject})
    return subject, text, html


def plain(html: str) -> str:
    return html.replace("&nbsp;", " ").replace("\N{NO-BREAK SPACE}", " ")


def known_events(app: Flask) -> dict[str, dict[str, str]]:
    module: Any = app.jinja_env.get_template("letters/_events.txt").module
    return dict(module.EVENTS)


def told_of() -> set[str]:
    """The events that the code tells owners of."""
    found = {f"{field}.changed" for field in ("email", "name", "phone")}
    for file in PORTAL.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"tell", "account.tell"}:
                event = node.args[1]
                if isinstance(event, ast.Constant):
                    found.add(str(event.value))
                else:
                    assert ast.unparse(event) == "f'{field}.changed'", f"{file}: what is told?"
    return found


def test_every_event_that_is_told_has_its_sentence(app: Flask) -> None:
    assert told_of() <= known_events(app).keys()
    assert len({each["subject"] for each in known_events(app).values()}) == len(known_events(app))
    for each in known_events(app).values():
        assert each["sentence"].endswith(".")


def test_an_event_without_a_sentence_is_not_written(app: Flask) -> None:
    at = clock.now().isoformat()
    with pytest.raises(UndefinedError):
        render("account_event", person=NAME, event="nothing.happened", address="", at=at)


def test_every_event_is_told_with_what_to_do(app: Flask) -> None:
    for event, each in known_events(app).items():
        at = "2026-11-21T11:02:00+00:00"
        subject, text, html = render(
            "account_event", person=NAME, event=event, address=ADDRESS, at=at
        )
        assert subject == each["subject"]
        for body in (text, plain(html)):
            assert each["sentence"] in body
            assert f"Здравствуйте, {NAME}!" in body
            assert "21.11.2026 в 14:02 мск" in body
            assert ADDRESS in body
            if "advice" in each:
                assert each["advice"] in body
            assert ("не вы" in body) is ("advice" not in each)
            assert ("Забыли пароль?" in body) is ("advice" not in each)
            assert config.settings.support_phone in body
            assert "Осталось" not in body
            assert "None" not in body
            assert "ID учётной записи" not in body


@pytest.mark.parametrize(("left", "warned"), [(10, False), (4, False), (3, True), (0, True)])
def test_a_used_code_is_told_with_a_warning_if_few_are_left(
    app: Flask, left: int, warned: bool
) -> None:
    at = clock.now().isoformat()
    said = render("account_event", person="", event="code.used", address="", at=at, left=left)
    for body in (said[1], plain(said[2])):
        assert "Здравствуйте!" in body
        assert (f"осталось мало: {left}." in body) == warned
        assert ("мало" in body) == warned
        assert "IP-адрес" not in body


def test_an_invitation_says_who_invites_to_what_and_until_when(
    organisations: None, post: Post
) -> None:
    invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1", name="<b>Анна & Ко</b>")
    (letter,) = post.letters(EMAIL)
    assert letter.subject == "Приглашение в портал ИЗКТ"
    assert "http://127.0.0.1:8000/invitation/" in letter.text
    assert "http://127.0.0.1:8000/invitation/" in letter.html
    assert "&lt;b&gt;Анна &amp; Ко&lt;/b&gt;" in letter.html
    for body in (letter.text, plain(letter.html)):
        assert "Администратор" in body
        assert LOMOVA.short_name in body
        assert "Организация" in body
        assert "не ждали" in body
        assert config.settings.support_phone in body
    assert "\n\n\n" not in letter.text


def test_an_invitation_of_a_specialist_names_no_organisation(app: Flask, post: Post) -> None:
    invite(name="")
    (letter,) = post.letters(EMAIL)
    assert "Здравствуйте!" in letter.text
    assert "Специалист" in letter.text
    for body in (letter.text, letter.html):
        assert "Организаци" not in body


def test_a_long_list_of_organisations_is_cut_short(
    app: Flask, keep: Callable[..., None], post: Post
) -> None:
    ids = [f"ORG-{number:02}" for number in range(12)]
    for id in ids:
        keep(id, short_name=f"ООО «{id}»")
        act(links.admit, EMAIL, Role.ADMINISTRATOR, id, "", "", "tests")
    with db.reading():
        invited = account.find_by_email(EMAIL)
    act(links.send_invitation, invited, "tests")
    (letter,) = post.letters(EMAIL)
    for body in (letter.text, plain(letter.html)):
        assert "ООО «ORG-09» и ещё 2" in body
        assert "ORG-10" not in body
        assert "Организации" in body


def test_the_letter_about_a_new_password_says_what_it_does(person: Account, post: Post) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    letter = post.letters(EMAIL)[-1]
    assert letter.subject == "Новый пароль"
    for body in (letter.text, plain(letter.html)):
        assert "http://127.0.0.1:8000/password/new/" in body
        assert "один раз" in body
        assert "останется прежним" in body
        assert "Никому не пересылайте" in body


def test_letters_are_given_up_once_their_link_is_dead(person: Account) -> None:
    act(links.request_reset, EMAIL, ADDRESS)
    (letter,) = (row for row in rows(messages) if row.letter == "password")
    (made,) = (row for row in rows(account_links) if row.purpose == RESET)
    assert letter.useful_until == pytest.approx(made.expires_at, abs=A_BIT)
    assert (letter.about, letter.account_id) == (made.id, person.id)


# At rest


def test_nothing_of_a_person_is_readable_in_the_database(
    organisations: None, everything_stored: Callable[[], bytes], post: Post
) -> None:
    invite(role=Role.ADMINISTRATOR, organisation_id="ORG-1", phone="+79215550111")
    tokens = [words("invitation")["token"], choose(INVITATION)]
    act(links.request_reset, EMAIL, ADDRESS)
    tokens.append(words("password")["token"])
    entry = enter()
    tokens.append(entry.token)
    begun = look(session.find, entry.token)
    act(session.keep, begun, secret="JBSWY3DPEHPK3PXP")
    enter(typed="what was typed wrong")
    enter("stranger@izkt.example", "wrong")
    act(links.request_reset, "stranger@izkt.example", ADDRESS)
    act(account.change, find(), "name", "Громова Полина", "tests")
    act(account.change, find(), "phone", "+79215550222", "tests")
    act(account.change, find(), "email", "new@izkt.example", "tests")
    tokens += [words("invitation")["token"], choose(INVITATION)]
    post.deliver()
    everything = everything_stored()
    secrets = [EMAIL, "new@izkt.example", "stranger@izkt", "9215550111", "9215550222", PASSWORD]
    secrets += ["what was typed wrong", "JBSWY3DPEHPK3PXP", "Firefox/145", *tokens]
    secrets += [*NAME.split(), "Громова"]
    for secret in secrets:
        for spelling in (secret, secret.lower(), json.dumps(secret)[1:-1]):
            for encoding in ("utf-8", "utf-16-le"):
                assert spelling.encode(encoding) not in everything, secret
    assert b"ORG-1" in everything, "what is no secret is found"
    assert b"$argon2id$" in everything


def test_an_account_shows_nothing_of_itself_in_a_traceback(person: Account) -> None:
    begun = look(session.find, enter().token)
    for shown in (repr(person), repr(begun)):
        for secret in (EMAIL, NAME, "argon2", AGENT):
            assert secret not in shown


def test_every_line_of_the_journal_names_nobody(person: Account) -> None:
    enter(typed="wrong")
    act(links.request_reset, EMAIL, ADDRESS)
    act(account.change, person, "email", "new@izkt.example", "tests")
    lines = " ".join(f"{row.actor} {row.details}" for row in rows(journal.events))
    for secret in (EMAIL, "new@", "Орлова", PASSWORD):
        assert secret not in lines
    with db.reading():
        assert journal.first_broken_line() is None


@pytest.mark.parametrize("module", [nouns, changes, links, session, sign_in])
def test_every_statement_is_one_of_postgresql_too(module: Any) -> None:
    def statements(value: object) -> Iterator[UpdateBase | SelectBase]:
        if isinstance(value, UpdateBase | SelectBase):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from statements(each)

    found = [each for value in vars(module).values() for each in statements(value)]
    assert found
    for statement in found:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        assert str(statement.compile(dialect=dialect))
