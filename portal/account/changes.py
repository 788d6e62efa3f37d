"""What an account says, changed: what it said before is kept, and its owner is told.

A specialist may ask for it when a device was lost (product.md, «Sign-in and the lost device»).
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from portal import clock, journal
from portal.account import links, session
from portal.account.account import (
    PASSWORD,
    Account,
    Role,
    fingerprints,
    must_be_free,
    must_fit,
    one_spelling,
    reload,
    remember,
    tell,
)
from portal.account.links import INVITATION, RESET
from portal.account.tables import account_changes, accounts
from portal.database import db

TRUSTED_AFTER = timedelta(days=7)  # an email changed later than that proves nothing yet


class Change(NamedTuple):
    """What an account said until a moment."""

    field: str
    old: str
    changed_at: datetime


_OWN = accounts.c.id == bindparam("of")
_CHANGE = {
    field: update(accounts).where(_OWN).values({field: bindparam("to")})
    for field in ("name", "phone")
}
_CHANGE_EMAIL = (
    update(accounts)
    .where(_OWN)
    .values(email=bindparam("to"), email_fingerprint=bindparam("fingerprint"))
)
_CHANGE_ROLE = update(accounts).where(_OWN).values(role=bindparam("to"))
_CHANGES = (
    select(account_changes.c.field, account_changes.c.old, account_changes.c.changed_at)
    .where(account_changes.c.account_id == bindparam("of"))
    .order_by(account_changes.c.id)
)


def change(account: Account, field: str, value: str, actor: str) -> bool:
    """Change name, email or phone, and tell the owner. The value is checked already.

    Returns whether it is another: the same email spelt otherwise is not, and nothing follows.
    Another email is told at both addresses; links that went to the old one are dead, and who was
    invited there is invited anew. Raises NotAllowedError where it is somebody else's.
    """
    old = getattr(account, field)
    if old == value:
        return False
    if field == "email":
        _change_email(account, value)
    else:
        db.execute(_CHANGE[field], {"of": account.id, "to": value})
    journal.record(account.chain, "account.changed", actor, field=field)
    if field == "email" and one_spelling(value) == one_spelling(old):
        return False
    remember(account, field, old)
    tell(account, f"{field}.changed")
    if field == "email":
        _follow_email(reload(account.id), actor)
    return True


def _change_email(account: Account, email: str) -> None:
    if one_spelling(email) != one_spelling(account.email):
        must_be_free(email)
    values = {"of": account.id, "to": email, "fingerprint": fingerprints(email)[0]}
    db.execute(_CHANGE_EMAIL, values)


def _follow_email(account: Account, actor: str) -> None:
    """Leave nothing behind at the old address that opens the account."""
    was_invited = links.is_invited(account)
    links.retire(account, RESET)
    links.retire(account, INVITATION)
    if was_invited:  # and whoever came by the old letter begins anew, or not at all
        session.end_all(account)
        links.forget_password(account)
        links.send_invitation(account, actor)
    else:
        tell(account, "email.changed")


def change_role(account: Account, role: Role, actor: str, address: object = "") -> None:
    """Give another role; every session ends, for what it was allowed is no longer true.

    Raises NotAllowedError where the role does not suit the account's organisations.
    """
    if role is account.role:
        return
    must_fit(role, account.organisations)
    db.execute(_CHANGE_ROLE, {"of": account.id, "to": role})
    session.end_all(account)
    journal.record(account.chain, "role.changed", actor, address, old=account.role, new=role)
    tell(account, "role.changed")


def changes_of(account: Account) -> list[Change]:
    """What the account said before, oldest first."""
    return [Change(*row) for row in db.all(_CHANGES, of=account.id)]


def has_new_email(account: Account) -> bool:
    """Whether the email changed so lately that a letter to it proves little."""
    return _is_new(account, "email")


def has_new_password(account: Account) -> bool:
    """Whether the password was chosen anew by letter so lately that both say: this mailbox."""
    return _is_new(account, PASSWORD)


def _is_new(account: Account, field: str) -> bool:
    return any(
        each.field == field and clock.now() < each.changed_at + TRUSTED_AFTER
        for each in changes_of(account)
    )
