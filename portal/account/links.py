"""The links in letters to accounts: an invitation, and a new password."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from portal import clock, config, journal, limits, networks, organisation, outbox, proofs
from portal.account import password, session
from portal.account.account import (
    PASSWORD,
    ROLE_NAMES,
    Account,
    NotAllowedError,
    Role,
    count_organisations,
    create,
    find,
    find_by_email,
    is_of,
    join,
    one_spelling,
    reload,
    remember,
    tell,
    write,
)
from portal.account.session import Stage
from portal.account.tables import account_links, accounts
from portal.database import db
from portal.language import gettext as _
from portal.limits import Limit

INVITATION = "invitation"  # the purposes that tokens are signed for
RESET = "password"
RESET_LASTS = timedelta(hours=1)
PER_ADDRESS = (Limit(30, timedelta(minutes=10)),)  # an office may share one
OFTEN = (Limit(1, timedelta(seconds=60)), Limit(5, timedelta(hours=24)))

_ADD = insert(account_links)
_UNUSED = (account_links.c.purpose == bindparam("kind"), account_links.c.used_at.is_(None))
_WORKS = (*_UNUSED, account_links.c.expires_at > bindparam("now"))
_THIS = account_links.c.id == bindparam("of")
_OWN = account_links.c.account_id == bindparam("owner")
_FIND = select(account_links.c.id, account_links.c.account_id).where(
    _THIS, account_links.c.account_id.is_not(None), *_WORKS
)
_FIND_OWN = select(account_links.c.id).where(_THIS, _OWN, *_WORKS)
_WORKING = (
    select(
        account_links.c.expires_at,
        outbox.messages.c.delivered_at,
        outbox.messages.c.failed_at,
        outbox.messages.c.trouble,
    )
    .outerjoin(outbox.messages, outbox.messages.c.about == account_links.c.id)
    .where(_OWN, *_WORKS)
)
_USE = update(account_links).where(_THIS, _OWN, *_WORKS).values(used_at=bindparam("now"))
_RETIRE = (
    update(account_links)
    .where(_OWN, *_UNUSED)
    .values(used_at=bindparam("now"))
    .returning(account_links.c.id)
)
_SET_PASSWORD = (
    update(accounts).where(accounts.c.id == bindparam("of")).values(password=bindparam("hash"))
)
_FORGET_PASSWORD = update(accounts).where(accounts.c.id == bindparam("of")).values(password=None)


class Invited(StrEnum):
    """What inviting somebody came to."""

    NEW = "new"
    AGAIN = "again"  # had not come yet
    JOINED = "joined"  # signs in already, and belongs to one more organisation
    ALREADY = "already"


class Invitation(NamedTuple):
    """An invitation that works until then, and where its letter is."""

    until: datetime
    letter: outbox.State
    trouble: str | None


def invite(
    email: str, role: Role, organisation_id: str | None, name: str, phone: str, actor: str
) -> Invited:
    """Invite somebody by letter, who came not yet. Values are checked; the organisation is there.

    Raises NotAllowedError where the role does not fit, the email has an account with another, or
    the account is suspended.
    """
    account, outcome = admit(email, role, organisation_id, name, phone, actor)
    if account.suspended_at:
        raise NotAllowedError(_("Эта учётная запись приостановлена. Сначала восстановите её."))
    if not account.has_password:
        send_invitation(account, actor)
    return outcome


def admit(
    email: str, role: Role, organisation_id: str | None, name: str, phone: str, actor: str
) -> tuple[Account, Invited]:
    """As `invite`, but nothing is sent: the account, and what `invite` would say.

    What a known account has for a name and a phone stays.
    """
    known = find_by_email(email)
    if known is None:
        return create(email, role, organisation_id, name, phone, actor), Invited.NEW
    if known.role is not role:
        role_name = _(ROLE_NAMES[known.role])
        raise NotAllowedError(
            _("С этим email уже есть учётная запись, её роль — «%(role)s».", role=role_name)
        )
    joins = organisation_id is not None and not is_of(known, organisation_id)
    if organisation_id and joins:
        join(known, organisation_id, actor)
        known = reload(known.id)
    if not known.has_password:
        return known, Invited.AGAIN
    return known, Invited.JOINED if joins else Invited.ALREADY


def invite_once(account: Account, actor: str) -> bool:
    """Send an invitation to who came not yet; False where an earlier one still works.

    Who is suspended gets none.
    """
    if account.has_password or account.suspended_at or is_invited(account):
        return False
    send_invitation(account, actor)
    return True


def invite_again(account: Account, actor: str, address: object) -> bool:
    """Send the invitation anew to who chose a password and enrolled no device.

    That they have none is for the caller to know: an invitation opens the account by itself.
    False, and nothing is sent, where this was asked for too often, or the account is suspended.
    """
    if account.suspended_at or may_invite_again_at(account):
        return False
    limits.use(_again(account))
    send_invitation(account, actor, address)
    return True


def may_invite_again_at(account: Account) -> datetime | None:
    """When the next invitation may be sent to somebody who has one; None: now."""
    return limits.free_at(_again(account), OFTEN)


def _again(account: Account) -> str:
    return f"invitation of {account.id}"


def send_invitation(account: Account, actor: str, address: object = "") -> str:
    """Post the letter with a new link, whose id is returned; an older one is dead."""
    retire(account, INVITATION)
    id = _add_link(account, INVITATION, config.settings.link_lifetime)
    write(
        account,
        "invitation",
        about=id,
        token=proofs.sign(INVITATION, id),
        until=(clock.now() + config.settings.link_lifetime).isoformat(),
        role=ROLE_NAMES[account.role],
        organisations=_names(account),
        more=max(0, count_organisations(account) - len(account.organisations)),
    )
    journal.record(account.chain, "account.invited", actor, address)
    return id


def _names(account: Account) -> list[str]:
    """What the person knows the organisations by."""
    found = [organisation.find(id) for id in account.organisations]
    return [each.details.short_name for each in found if each]


def withdraw_invitation(account: Account, actor: str, address: object) -> bool:
    """Make an invitation dead; False where none works.

    Who began by it begins anew with another one, or not at all: a password that was chosen is
    forgotten. That no device is enrolled is for the caller to know.
    """
    if not is_invited(account):
        return False
    retire(account, INVITATION)
    retire(account, RESET)
    session.end_all(account)
    forget_password(account)
    journal.record(account.chain, "invitation.withdrawn", actor, address)
    return True


def forget_password(account: Account) -> None:
    """Have nobody sign in with what was chosen by a letter that may have gone astray."""
    db.execute(_FORGET_PASSWORD, {"of": account.id})


def is_invited(account: Account) -> bool:
    """Whether an invitation works that the person did not follow to the end."""
    return invitation_of(account) is not None


def invitation_of(account: Account) -> Invitation | None:
    """The invitation that works, and that the person did not follow to the end."""
    row = db.one(_WORKING, owner=account.id, kind=INVITATION, now=clock.now())
    if row is None:
        return None
    letter = outbox.state_of(row.delivered_at, row.failed_at, row.trouble)
    return Invitation(row.expires_at, letter, row.trouble)


def use_invitation(account: Account) -> None:
    """The invited person has a device now: the letter's link is dead."""
    retire(account, INVITATION)


def request_reset(email: str, address: object) -> None:
    """Send a link to choose a new password, to an account that has chosen one before.

    For any other email the same rows are written, and nothing is sent; asked for too often,
    nothing happens. So nobody learns which accounts there are.
    """
    name = f"password reset of {one_spelling(email)}"
    where = f"password resets from {networks.counted_as(address)}"
    if limits.free_at(name, OFTEN) or limits.free_at(where, PER_ADDRESS):
        return
    limits.use(name, where)
    found = find_by_email(email)
    owner = found if found and found.has_password and not found.suspended_at else None
    id = _add_link(owner, RESET, RESET_LASTS)
    token, until = proofs.sign(RESET, id), clock.now() + RESET_LASTS
    words: dict[str, Any] = {"about": id, "token": token, "until": until.isoformat()}
    if owner:
        write(owner, "password", useful_until=until, **words)
        journal.record(owner.chain, "password.forgotten", "unknown", address)
    else:
        # To no address: what a stranger typed is not kept.
        outbox.post("email", "password", "", useful_until=until, person="", **words)
        outbox.withdraw_all(id)


def find_link(purpose: str, token: str) -> tuple[str, Account] | None:
    """The id and the account of a link that still works."""
    id = proofs.unsign(purpose, token)
    return find_link_by_id(purpose, id) if id else None


def find_link_by_id(purpose: str, id: str) -> tuple[str, Account] | None:
    """The same, for who followed the link a moment ago."""
    row = db.one(_FIND, of=id, kind=purpose, now=clock.now())
    owner = find(row.account_id) if row else None
    return (row.id, owner) if row and owner and not owner.suspended_at else None


def choose_password(
    purpose: str, id: str, account: Account, chosen: str, address: object, agent: str
) -> str | None:
    """Keep a new password. An invited person goes on to enrol a device: a session's token.

    A link to a new password works once; an invitation works until the device is enrolled, so who
    was interrupted can begin again. All sessions end. Second factors stay as they are. Raises
    BadValueError for a bad password, NotAllowedError where the link is dead by now.
    """
    good = password.check(chosen, easily_guessed(account))
    link = {"of": id, "owner": account.id, "kind": purpose, "now": clock.now()}
    works = db.changed(_USE, **link) if purpose == RESET else db.one(_FIND_OWN, **link)
    if not works:
        raise NotAllowedError(_("Ссылка больше не действует."))
    set_password(account, good, address)
    if purpose == RESET:
        remember(account, PASSWORD, "")
        tell(account, "password.changed", address)
        return None
    return session.begin(account, Stage.ENROLMENT, address, agent, link_id=id)


def set_password(account: Account, good: str, address: object) -> None:
    """Keep a password that was checked. Links to a new one are dead, and all sessions end."""
    db.execute(_SET_PASSWORD, {"of": account.id, "hash": password.hash(good)})
    retire(account, RESET)
    session.end_all(account)
    journal.record(account.chain, "password.chosen", account.id, address)


def retire(account: Account, purpose: str) -> None:
    """Make the account's links of a kind dead, and take back letters that did not leave."""
    for link in db.all(_RETIRE, owner=account.id, kind=purpose, now=clock.now()):
        outbox.withdraw_all(link.id)


def easily_guessed(account: Account) -> list[str]:
    """What anybody who knows the person tries first."""
    words = [account.email, account.name, account.phone, *account.organisations]
    for id in account.organisations:
        found = organisation.find(id)
        if found:
            words += [found.details.name, found.details.short_name]
    return words


def _add_link(account: Account | None, purpose: str, lifetime: timedelta) -> str:
    now, id = clock.now(), proofs.new_public_id()
    values = {
        "id": id,
        "purpose": purpose,
        "account_id": account.id if account else None,
        "made_at": now,
        "expires_at": now + lifetime,
    }
    db.execute(_ADD, values)
    return id
