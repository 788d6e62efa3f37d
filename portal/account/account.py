"""Who signs in: finding accounts, making them, and writing to their owners."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select

from portal import checks, clock, journal, keys, outbox, proofs
from portal.account.tables import account_changes, accounts
from portal.checks import LONGEST_EMAIL, BadValueError
from portal.config import Network
from portal.database import db, key_ids, places
from portal.language import gettext as _
from portal.language import mark
from portal.networks import parse_networks
from portal.organisation import memberships, organisations


class Role(StrEnum):
    """What an account may do (product.md, «People»)."""

    ADMINISTRATOR = "administrator"
    SPECIALIST = "specialist"
    OPERATOR = "operator"
    SENIOR_OPERATOR = "senior_operator"
    CONTROLLER = "controller"
    MANAGER = "manager"


ROLE_NAMES = {
    Role.ADMINISTRATOR: mark("Администратор"),
    Role.SPECIALIST: mark("Специалист"),
    Role.OPERATOR: mark("Оператор"),
    Role.SENIOR_OPERATOR: mark("Старший оператор"),
    Role.CONTROLLER: mark("Контролёр"),
    Role.MANAGER: mark("Управляющий"),
}
ROLE_WORK = {
    Role.OPERATOR: mark("Заказывает карты тахографа."),
    Role.SENIOR_OPERATOR: mark("Заказывает карты тахографа и формирует пакеты."),
    Role.CONTROLLER: mark("Проверяет пакеты заказов."),
    Role.MANAGER: mark("Управляет заказами карт и пакетами."),
}
"""What the operational roles do, a line of each."""
OPERATIONAL = frozenset({Role.OPERATOR, Role.SENIOR_OPERATOR, Role.CONTROLLER, Role.MANAGER})
PASSWORD = "password"  # noqa: S105 - what changes, as `account_changes` names it
STAFF = frozenset({Role.ADMINISTRATOR, Role.SPECIALIST})
FEW = 10  # organisations of an account that are read with it; an administrator may have very many


@dataclass(frozen=True, slots=True, repr=False)  # personal data stays out of tracebacks
class Account:
    """Someone who signs in, with the first few of the organisations that they belong to."""

    id: str
    email: str
    name: str
    phone: str
    role: Role
    password: str | None
    created_at: datetime
    wrong_factors: int
    paused_until: datetime | None
    suspended_at: datetime | None
    organisations: tuple[str, ...]

    @property
    def chain(self) -> str:
        return journal.of_account(self.id)

    @property
    def called(self) -> str:
        """What others read of whom it is."""
        return self.name or self.email

    @property
    def has_password(self) -> bool:
        return self.password is not None

    @property
    def pause_ends_at(self) -> datetime | None:
        """Until when no second factor is taken, because too many were wrong."""
        return self.paused_until if self.paused_until and clock.now() < self.paused_until else None

    @property
    def is_operational(self) -> bool:
        return self.role in OPERATIONAL


class NotAllowedError(Exception):
    """The change would break a rule of accounts; its text says which, in a sentence."""


COLUMNS = (
    accounts.c.id,
    accounts.c.email,
    accounts.c.name,
    accounts.c.phone,
    accounts.c.role,
    accounts.c.password,
    accounts.c.created_at,
    accounts.c.wrong_factors,
    accounts.c.paused_until,
    accounts.c.suspended_at,
)
_FIND = select(*COLUMNS).where(accounts.c.id == bindparam("id"))
_KEYS_IN_USE = key_ids(accounts.c.email)
_FIND_BY_EMAIL = select(*COLUMNS).where(accounts.c.email_fingerprint == bindparam("fingerprint"))
_REMEMBER = insert(account_changes)
_ORGANISATIONS = (
    select(memberships.c.organisation_id)
    .where(memberships.c.account_id == bindparam("of"))
    .order_by(memberships.c.organisation_id)
    .limit(FEW)
)
_HOW_MANY = (
    select(func.count()).select_from(memberships).where(memberships.c.account_id == bindparam("of"))
)
_NETWORKS = (
    select(organisations.c.networks)
    .distinct()
    .join(memberships, memberships.c.organisation_id == organisations.c.id)
    .where(memberships.c.account_id == bindparam("of"), organisations.c.networks != "")
)
_IS_OF = select(memberships.c.since).where(
    memberships.c.account_id == bindparam("of"),
    memberships.c.organisation_id == bindparam("organisation"),
)
_ADD = insert(accounts)
_JOIN = insert(memberships)
_STATUS = select(organisations.c.status).where(organisations.c.id == bindparam("of"))


def find(id: str) -> Account | None:
    """The account of that id."""
    row = db.one(_FIND, id=id)
    return read(row) if row else None


def names_of(ids: Collection[str]) -> dict[str, str]:
    """What accounts are called, by their ids."""
    return {row.id: row.name or row.email for row in db.all_of(_names, ids)}


@cache
def _names(count: int) -> Select[Any]:
    these = accounts.c.id.in_(places(count))
    return select(accounts.c.id, accounts.c.name, accounts.c.email).where(these)


def find_by_email(email: str) -> Account | None:
    """The account with that email, however it is typed (see `one_spelling`)."""
    for fingerprint in fingerprints(email):
        row = db.one(_FIND_BY_EMAIL, fingerprint=fingerprint)
        if row:
            return read(row)
    return None


def must_be_readable() -> None:
    """Raise keys.UnreadableError where a data key is missing that an account's email is under.

    By that email nobody would find it, and a second account would be made.
    """
    keys.must_know((bytes(row.id) for row in db.all(_KEYS_IN_USE)), "accounts.email")


def is_of(account: Account, organisation_id: str) -> bool:
    """Whether an account belongs to an organisation."""
    return db.one(_IS_OF, of=account.id, organisation=organisation_id) is not None


def read(row: Any) -> Account:
    """The account that a row of COLUMNS, and perhaps more, tells of."""
    values = {column.key: getattr(row, column.key) for column in COLUMNS}
    organisations = tuple(each.organisation_id for each in db.all(_ORGANISATIONS, of=row.id))
    return Account(**values | {"role": Role(row.role)}, organisations=organisations)


def create(
    email: str,
    role: Role,
    organisation_id: str | None,
    name: str,
    phone: str,
    actor: str,
    address: object = "",
) -> Account:
    """A new account, which has no password yet. Values are checked already.

    Raises NotAllowedError where the email has one, and for a specialist with an organisation or
    anybody else without one.
    """
    must_be_free(email)
    must_fit(role, [organisation_id] if organisation_id else [])
    id = proofs.new_public_id()
    db.execute(
        _ADD,
        {
            "id": id,
            "email": email,
            "email_fingerprint": fingerprints(email)[0],
            "name": name,
            "phone": phone,
            "role": role,
            "created_at": clock.now(),
        },
    )
    journal.record(journal.of_account(id), "account.created", actor, address, role=role)
    if organisation_id:
        join(reload(id), organisation_id, actor, address)
    return reload(id)


def must_be_free(email: str) -> None:
    """Raise NotAllowedError where the email is that of an account."""
    if find_by_email(email):
        raise NotAllowedError(_("С этим email уже есть другая учётная запись."))


def must_fit(role: Role, organisations: Collection[str]) -> None:
    """Raise NotAllowedError where the role suits no such organisations (product.md, «People»)."""
    if role is Role.SPECIALIST and organisations:
        raise NotAllowedError(_("Специалист не относится ни к какой организации."))
    if role is not Role.SPECIALIST and not organisations:
        raise NotAllowedError(_("С этой ролью нужна организация."))
    if role in OPERATIONAL and len(organisations) > 1:
        raise NotAllowedError(_("С этой ролью работают только в одной организации."))


def join(account: Account, organisation_id: str, actor: str, address: object = "") -> None:
    """Make an account one of an organisation, to which it does not belong yet.

    Raises NotAllowedError where its role suits no further one.
    """
    must_fit(account.role, [*account.organisations, organisation_id])
    values = {
        "account_id": account.id,
        "organisation_id": organisation_id,
        "status": db.scalar(_STATUS, of=organisation_id),
        "since": clock.now(),
    }
    db.execute(_JOIN, values)
    journal.record(account.chain, "account.joined", actor, address, organisation=organisation_id)


def write(
    account: Account,
    letter: str,
    *,
    about: str | None = None,
    not_before: datetime | None = None,
    useful_until: datetime | None = None,
    **words: object,
) -> str:
    """Post a letter to the owner of an account; returns the message's id."""
    return outbox.post(
        "email",
        letter,
        account.email,
        account_id=account.id,
        about=about,
        not_before=not_before,
        useful_until=useful_until,
        person=account.name,
        **words,  # type: ignore[arg-type] # words of the letter, none of post's own
    )


def remember(account: Account, field: str, old: str) -> None:
    """Keep what an account said until now; of a password only that it was another one."""
    values = {"account_id": account.id, "field": field, "old": old, "changed_at": clock.now()}
    db.execute(_REMEMBER, values)


def tell(account: Account, event: str, address: object = "", **words: object) -> None:
    """Tell the owner by letter that something of the account changed.

    `event` is one that the template `letters/account_event` has a sentence for.
    """
    write(
        account,
        "account_event",
        event=event,
        address=str(address or ""),
        at=clock.now().isoformat(),
        **words,  # type: ignore[arg-type] # as above
    )


def is_same_email(one: str, other: str) -> bool:
    """Whether letters to both go to one mailbox, as far as their spelling tells."""
    return one_spelling(one) == one_spelling(other)


def one_spelling(email: str) -> str:
    """An email as it is compared: its case, blanks around it and the spelling of .рф aside.

    Browsers write a domain such as почта.рф in ASCII. What is no email has a spelling, too, so
    that who asks for it learns nothing.
    """
    typed = email.strip()[: LONGEST_EMAIL + 1]
    try:
        return checks.email(typed).lower()
    except BadValueError:
        return typed.lower()


def fingerprints(email: str) -> tuple[bytes, ...]:
    """What an email is known by in the database, under each data key."""
    return keys.fingerprints(one_spelling(email), "email")


def count_organisations(account: Account) -> int:
    """How many organisations somebody belongs to; the account names the first few."""
    return int(db.scalar(_HOW_MANY, of=account.id))


def networks_of(account: Account) -> tuple[Network, ...]:
    """The secure channels of one's organisations, of all of them."""
    return tuple(
        each for row in db.all(_NETWORKS, of=account.id) for each in parse_networks(row[0])
    )


def reload(id: str) -> Account:
    """The account as it is now, after a change in this transaction."""
    found = find(id)
    assert found, "it was there a moment ago"
    return found
