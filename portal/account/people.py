"""An organisation's people: who they are, who looks after them, and who joins them by letter."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import bindparam, func, select, tuple_

from portal import journal, limits
from portal.account.account import (
    COLUMNS,
    OPERATIONAL,
    STAFF,
    Account,
    Role,
    create,
    find_by_email,
    is_of,
    must_be_readable,
    read,
)
from portal.account.changes import change_role
from portal.account.links import invite_again, send_invitation
from portal.account.tables import accounts
from portal.database import Moment, db
from portal.limits import Limit
from portal.organisation import memberships

PER_ADMINISTRATOR = (Limit(50, timedelta(hours=1)),)  # invitations: a whole office in a morning
ROLES_OF_ONE = (Limit(5, timedelta(hours=24)),)  # each is told to them by letter
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_OF = memberships.c.organisation_id == bindparam("of")
_WORKS = accounts.c.suspended_at.is_(None)
_PEOPLE = (
    select(*COLUMNS)
    .join(memberships, memberships.c.account_id == accounts.c.id)
    .where(
        _OF,
        tuple_(memberships.c.since, memberships.c.account_id)
        > tuple_(bindparam("since", type_=Moment()), bindparam("after")),
    )
    .order_by(memberships.c.since, memberships.c.account_id)
    .limit(bindparam("most"))
)
_SINCE = select(memberships.c.since).where(_OF, memberships.c.account_id == bindparam("whose"))
_COUNT_OPERATIONAL = (
    select(func.count())
    .select_from(memberships.join(accounts, accounts.c.id == memberships.c.account_id))
    .where(_OF, _WORKS, *(accounts.c.role != role for role in sorted(STAFF)))
)
_ADMINISTRATORS = (
    select(*COLUMNS)
    .join(memberships, memberships.c.account_id == accounts.c.id)
    .where(_OF, _WORKS, accounts.c.role == Role.ADMINISTRATOR)
    .order_by(memberships.c.since, accounts.c.id)
)
_others = memberships.alias()
_LEFT_ALONE = select(func.count()).where(
    memberships.c.account_id == bindparam("whose"),
    ~select(_others.c.account_id)
    .join(accounts, accounts.c.id == _others.c.account_id)
    .where(
        _others.c.organisation_id == memberships.c.organisation_id,
        _others.c.account_id != memberships.c.account_id,
        accounts.c.role == Role.ADMINISTRATOR,
        _WORKS,
    )
    .exists(),
)


class NotInvited(StrEnum):
    """Why an administrator's invitation was not sent."""

    HERE = "here"  # belongs to the organisation already
    SUSPENDED = "suspended"  # does, and may not sign in now
    ELSEWHERE = "elsewhere"  # has an account that is none of the administrator's business
    NOT_YOURS = "not_yours"  # the organisation or the role is not the administrator's to give
    TOO_MANY = "too_many"


def people_of(organisation_id: str, *, after: str = "", most: int) -> list[Account]:
    """Who belongs to an organisation, in the order they came; those after that account's id."""
    since = db.scalar(_SINCE, of=organisation_id, whose=after) if after else LONG_AGO
    if since is None:  # belongs to it no more, or never did
        return []
    rows = db.all(_PEOPLE, of=organisation_id, since=since, after=after, most=most)
    return [read(row) for row in rows]


def operational_users_of(organisation_id: str) -> int:
    """How many operational users of an organisation there are, suspended ones aside."""
    return int(db.scalar(_COUNT_OPERATIONAL, of=organisation_id))


def administrators_of(organisation_id: str) -> list[Account]:
    """The administrators of an organisation, enrolled or invited, suspended ones aside."""
    return [read(row) for row in db.all(_ADMINISTRATORS, of=organisation_id)]


def administers(administrator: Account, owner: Account) -> bool:
    """Whether somebody is administrator of an operational user, who is never themselves."""
    return (
        administrator.role is Role.ADMINISTRATOR
        and owner.is_operational
        and any(is_of(administrator, each) for each in owner.organisations)
    )


def organisations_left_alone(administrator: Account) -> int:
    """How many organisations would have no administrator, were this one not there."""
    if administrator.role is not Role.ADMINISTRATOR:
        return 0
    return int(db.scalar(_LEFT_ALONE, whose=administrator.id))


def invite_person(
    administrator: Account,
    organisation_id: str,
    email: str,
    role: Role,
    name: str,
    phone: str,
    address: object,
) -> Account | NotInvited:
    """Invite a new operational user to an administrator's organisation, by letter.

    Values are checked. An email with an account elsewhere is refused without a word on whose it
    is; that it is refused has to be said. So each such answer counts as an invitation does, and
    is noted in the journal.
    """
    if role not in OPERATIONAL or not is_of(administrator, organisation_id):
        return NotInvited.NOT_YOURS
    known = find_by_email(email)
    if known and is_of(known, organisation_id):
        return NotInvited.SUSPENDED if known.suspended_at else NotInvited.HERE
    if may_invite_at(administrator):
        return NotInvited.TOO_MANY
    limits.use(_limit(administrator))
    if known:
        chain, actor = administrator.chain, administrator.id
        journal.record(chain, "invitation.refused", actor, address, organisation=organisation_id)
        return NotInvited.ELSEWHERE
    must_be_readable()  # or the email may be that of an account which cannot be found
    made = create(email, role, organisation_id, name, phone, administrator.id, address)
    send_invitation(made, administrator.id, address)
    return made


def invite_person_again(administrator: Account, account: Account, address: object) -> bool:
    """Send the invitation anew to who has no device yet, which is for the caller to know.

    False, and nothing is sent, where that was done too often.
    """
    if may_invite_at(administrator) or not invite_again(account, administrator.id, address):
        return False
    limits.use(_limit(administrator))
    return True


def may_invite_at(administrator: Account) -> datetime | None:
    """When an administrator may invite the next person; None: now."""
    return limits.free_at(_limit(administrator), PER_ADMINISTRATOR)


def give_role(
    account: Account, role: Role, administrator: Account, address: object
) -> datetime | None:
    """Give an operational user another role; where that was done too often, until when none.

    Raises NotAllowedError where the role does not suit the account's organisations.
    """
    name = f"roles of {account.id}"
    until = limits.free_at(name, ROLES_OF_ONE)
    if until is None:
        limits.use(name)
        change_role(account, role, administrator.id, address)
    return until


def _limit(administrator: Account) -> str:
    return f"invitations by {administrator.id}"
