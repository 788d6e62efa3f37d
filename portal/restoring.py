"""After a backup was restored: what worked when it was made, and may be used up since, is ended.

A copy knows nothing of what happened after it. A link that was followed, a code that was typed and
a session that was ended would work again, for whoever kept them. All that has a time of its own is
ended here, before the portal starts; what is asked for anew works as ever. What was dropped or
spent for good since then (a device, a backup code, a password, a suspension) the copy cannot know:
docs/operating.md says what to tell people.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, func, select, update

from portal import clock, journal, recovery
from portal.account.tables import account_links, sessions
from portal.campaign import State as CampaignState
from portal.campaign import find as find_campaign
from portal.campaign.course import move as move_campaign
from portal.campaign.tables import campaigns
from portal.confirmation import Standing
from portal.confirmation.course import end
from portal.confirmation.tables import codes, confirmations, email_links
from portal.database import db
from portal.device import Kind
from portal.device.tables import code_sets, devices
from portal.device.totp import SPREAD
from portal.diagnostics import diagnostics
from portal.journal import events
from portal.outbox.posting import TAKE_BACK
from portal.recovery.course import move as move_case
from portal.recovery.tables import cases

STEP_SECONDS = 30  # of TOTP, product.md, «Numbers»

_LAST_EVENT = select(func.max(events.c.at, type_=events.c.at.type))
_OPEN_REQUESTS = select(confirmations.c.id, confirmations.c.organisation_id).where(
    confirmations.c.state == Standing.OPEN
)
_USE_CODES = update(codes).where(codes.c.used_at.is_(None)).values(used_at=bindparam("now"))
_USE_EMAIL_LINKS = (
    update(email_links).where(email_links.c.used_at.is_(None)).values(used_at=bindparam("now"))
)
_END_SESSIONS = (
    update(sessions)
    .where(sessions.c.ended_at.is_(None), sessions.c.ends_at > bindparam("now"))
    .values(ended_at=bindparam("now"), pending=None)
    .returning(sessions.c.account_id)
)
_USE_LINKS = (
    update(account_links)
    .where(account_links.c.used_at.is_(None), account_links.c.expires_at > bindparam("now"))
    .values(used_at=bindparam("now"))
    .returning(account_links.c.account_id)
)
_OPEN_CASES = select(cases.c.id).where(cases.c.ended_at.is_(None))
_CLAIM_NUMBERS = (
    update(diagnostics)
    .where(diagnostics.c.claimed_at.is_(None))
    .values(claimed_at=bindparam("now"))
)
# No app's code of now counts any more; the next but one does.
_TAKE_STEPS = (
    update(devices)
    .where(
        devices.c.kind == Kind.TOTP,
        devices.c.dropped_at.is_(None),
        devices.c.last_step < bindparam("step"),
    )
    .values(last_step=bindparam("step"))
)
_RUNNING = select(campaigns.c.id).where(campaigns.c.state == CampaignState.RUNNING)
_DROP_SETS = (
    update(code_sets)
    .where(code_sets.c.dropped_at.is_(None))
    .values(dropped_at=bindparam("now"))
    .returning(code_sets.c.id, code_sets.c.account_id)
)


@dataclass
class Ended:
    """What was ended, and since when the database knows nothing."""

    last_event_at: datetime | None
    requests: int = 0
    links: int = 0
    sessions: int = 0
    cases: int = 0
    campaigns: int = 0
    messages: int = 0
    code_sets: int = 0
    chains: set[str] = field(default_factory=set)


def end_what_worked(actor: str, *, drops_backup_codes: bool = False) -> Ended:
    """End all that a stranger could profit from, in the running transaction.

    Each chain of the journal that is touched gets a line of its own. Done twice, the second time
    finds nothing.
    """
    now = clock.now()
    ended = Ended(db.scalar(_LAST_EVENT))
    _end_requests(ended, actor)
    _end_sign_ins(ended, now)
    _end_cases(ended, actor)
    for row in db.all(_RUNNING):
        running = find_campaign(row.id)
        if running and move_campaign(running, CampaignState.PAUSED, actor):
            ended.campaigns += 1
            ended.chains.add(journal.of_account(running.account_id))
    # Nobody knows which of these left: what they speak of has ended, or stands on a page.
    ended.messages = db.changed(TAKE_BACK, now=now)
    if drops_backup_codes:
        for row in db.all(_DROP_SETS, now=now):
            chain = journal.of_account(row.account_id)
            journal.record(chain, "codes.dropped", actor, set=row.id)
            ended.code_sets += 1
            ended.chains.add(chain)
    for chain in sorted(ended.chains):
        journal.record(chain, "database.restored", actor)
    return ended


def _end_requests(ended: Ended, actor: str) -> None:
    """End every request to confirm; what it asked for is to be asked anew."""
    for row in db.all(_OPEN_REQUESTS):
        chain = journal.of_organisation(row.organisation_id)
        if end(row.id, chain, Standing.CANCELLED, actor):
            ended.requests += 1
            ended.chains.add(chain)
    now = clock.now()
    db.execute(_USE_CODES, {"now": now})
    db.execute(_USE_EMAIL_LINKS, {"now": now})


def _end_sign_ins(ended: Ended, now: datetime) -> None:
    """End sessions, links to invitations and new passwords, and the codes that apps show now."""
    of_sessions = db.all(_END_SESSIONS, now=now)
    of_links = db.all(_USE_LINKS, now=now)
    ended.sessions, ended.links = len(of_sessions), len(of_links)
    owners = {row.account_id for row in (*of_sessions, *of_links) if row.account_id}
    ended.chains |= {journal.of_account(each) for each in owners}
    db.execute(_CLAIM_NUMBERS, {"now": now})
    db.execute(_TAKE_STEPS, {"step": int(now.timestamp()) // STEP_SECONDS + SPREAD})


def _end_cases(ended: Ended, actor: str) -> None:
    """Stop every recovery: it may have been stopped by its owner since, or used."""
    for row in db.all(_OPEN_CASES):
        found = recovery.find(row.id)
        if found:
            # Its time is over, whatever its hours say: pages have words for that.
            move_case(found, recovery.State.CANCELLED, actor, reason=recovery.Reason.EXPIRED)
            ended.cases += 1
            ended.chains.add(found.owner.chain)
