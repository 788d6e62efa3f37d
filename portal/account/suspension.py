"""Suspended accounts: nobody signs in with one until it is restored.

The organisation's administrator does it to its operational users, and the operator of the portal
to anybody. Whoever suspends stops the owner's recovery as well (`recovery.cancel_by_suspension`).
"""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, update

from portal import clock, journal, limits
from portal.account import links, session
from portal.account.account import Account, NotAllowedError, tell
from portal.account.links import INVITATION, RESET
from portal.account.people import administers, administrators_of
from portal.account.tables import accounts
from portal.database import db
from portal.language import gettext as _
from portal.limits import Limit

RESTORED_OFTEN = (Limit(5, timedelta(hours=24)),)  # told by letter, as each suspension before it

_OWN = accounts.c.id == bindparam("of")
_SUSPEND = (
    update(accounts)
    .where(_OWN, accounts.c.suspended_at.is_(None))
    .values(suspended_at=bindparam("now"))
)
_RESTORE = (
    update(accounts).where(_OWN, accounts.c.suspended_at.is_not(None)).values(suspended_at=None)
)


def suspend(account: Account, by: Account | str, address: object) -> bool:
    """Let nobody in any more; False where it was suspended already.

    Every session ends and letters with links are dead; devices, codes and password stay as they
    are. `by` is an administrator, or the name of what acts for the portal's operator. Raises
    NotAllowedError where it is not the administrator's to decide.
    """
    actor = _actor(account, by)
    if not db.changed(_SUSPEND, of=account.id, now=clock.now()):
        return False
    session.end_all(account)
    links.retire(account, RESET)
    links.retire(account, INVITATION)
    journal.record(account.chain, "account.suspended", actor, address)
    if account.is_operational and any(map(administrators_of, account.organisations)):
        tell(account, "account.suspended")
    else:  # whom no organisation's administrator looks after
        tell(account, "staff.suspended")
    return True


def restore(account: Account, by: Account | str, address: object) -> bool:
    """Let the owner in again, with the old password and device; False if it was not suspended.

    Raises NotAllowedError as `suspend` does.
    """
    actor = _actor(account, by)
    if not db.changed(_RESTORE, of=account.id):
        return False
    limits.use(_restorings(account))
    journal.record(account.chain, "account.restored", actor, address)
    tell(account, "account.restored")
    return True


def may_restore_at(account: Account) -> datetime | None:
    """When an administrator may restore an account again; None: now.

    Suspending is never made to wait.
    """
    return limits.free_at(_restorings(account), RESTORED_OFTEN)


def _restorings(account: Account) -> str:
    return f"restorings of {account.id}"


def _actor(account: Account, by: Account | str) -> str:
    if isinstance(by, str):
        return by
    if not administers(by, account):
        raise NotAllowedError(
            _("Администратор приостанавливает только сотрудников своей организации, не себя.")
        )
    return by.id
