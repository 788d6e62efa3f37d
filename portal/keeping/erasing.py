"""Erasing an account: nobody is named any more, and nothing of the person is left but an id.

The row stays, for the journal and other people's rows speak of it by that id.
"""

import secrets

from sqlalchemy import BindParameter, bindparam, delete, func, or_, update

from portal import clock, journal, outbox
from portal.account.tables import (
    account_changes,
    account_links,
    accounts,
    sessions,
)
from portal.campaign.tables import campaign_items, campaigns
from portal.database import db
from portal.device.tables import backup_codes, code_sets, devices
from portal.diagnostics import diagnostics
from portal.keeping.conditions import says
from portal.organisation import memberships
from portal.organisation.tables import drafts
from portal.outbox import messages
from portal.recovery.tables import cases, facts

FINGERPRINT_BYTES = 32

_ACCOUNT: BindParameter[str] = bindparam("of")
_ERASE = (
    update(accounts)
    .where(accounts.c.id == _ACCOUNT, says(accounts.c.email))
    .values(
        email="",
        email_fingerprint=bindparam("nobodys"),  # the address is free for another account
        name="",
        phone="",
        password=None,
        suspended_at=func.coalesce(
            accounts.c.suspended_at, bindparam("now", type_=accounts.c.suspended_at.type)
        ),
    )
)
_OF_SETS = backup_codes.c.set_id.in_(
    code_sets.select().with_only_columns(code_sets.c.id).where(code_sets.c.account_id == _ACCOUNT)
)
_OF_CAMPAIGNS = campaign_items.c.campaign_id.in_(
    campaigns.select().with_only_columns(campaigns.c.id).where(campaigns.c.account_id == _ACCOUNT)
)
_EVIDENCE = (
    cases.select()
    .with_only_columns(cases.c.diagnostics_id)
    .where(cases.c.account_id == _ACCOUNT, cases.c.diagnostics_id.is_not(None))
)
_WIPE = (
    delete(backup_codes).where(_OF_SETS),
    *(
        delete(table).where(table.c.account_id == _ACCOUNT)
        for table in (
            *(account_changes, account_links, code_sets, devices, drafts, facts, memberships),
            sessions,
        )
    ),
    update(campaign_items).where(_OF_CAMPAIGNS).values(typed=None),
    update(cases).where(cases.c.account_id == _ACCOUNT).values(answers=None),
    update(diagnostics)
    .where(or_(diagnostics.c.account_id == _ACCOUNT, diagnostics.c.id.in_(_EVIDENCE)))
    .values(address="", agent=""),
    update(messages).where(messages.c.account_id == _ACCOUNT).values(recipient="", words=None),
)
_WAITING = (
    messages.select()
    .with_only_columns(messages.c.id)
    .where(
        messages.c.account_id == _ACCOUNT,
        or_(messages.c.due_at.is_not(None), messages.c.worth_until.is_not(None)),
    )
)


def erase(account_id: str, actor: str) -> bool:
    """Wipe all that an account says of its owner; False if that was done before.

    What waits in the post for the owner is withdrawn. Nobody can sign in any more, and whoever had
    that email may get another account. Organisations and their records are none of it.
    """
    erased = db.changed(
        _ERASE, of=account_id, now=clock.now(), nobodys=secrets.token_bytes(FINGERPRINT_BYTES)
    )
    if not erased:
        return False
    for waiting in db.all(_WAITING, of=account_id):
        outbox.withdraw(waiting.id)
    for statement in _WIPE:
        db.execute(statement, {"of": account_id})
    journal.record(journal.of_account(account_id), "account.erased", actor)
    return True
