"""When a row's time is over, where more than one moment decides.

`BEFORE` is the moment before which everything had to be over. What was replaced is kept from the
moment at which something else took its place, not from its own beginning: a record that was true
for ten years is an old one only since yesterday.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    bindparam,
    exists,
    func,
    not_,
    or_,
    select,
    type_coerce,
)

from portal.account.links import INVITATION
from portal.account.tables import account_links, accounts, wrong_passwords
from portal.campaign import State
from portal.campaign.tables import campaign_items, campaigns
from portal.confirmation.tables import codes, confirmations, email_links, proofs
from portal.database import Moment
from portal.device.tables import backup_codes, code_sets, devices
from portal.diagnostics import diagnostics
from portal.keys import KEY_ID_BYTES, NONCE_BYTES
from portal.organisation import organisations, records
from portal.organisation.tables import drafts
from portal.outbox import messages
from portal.recovery.tables import cases
from portal.verification import Outcome
from portal.verification.tables import verifications

BEFORE = bindparam("before", type_=Moment())
SEAL_BYTES = 16  # that AES-GCM adds to what it encrypts
EMPTY_BYTES = KEY_ID_BYTES + NONCE_BYTES + SEAL_BYTES  # an empty text, encrypted


def says(column: Any) -> ColumnElement[bool]:
    """Whether an encrypted column that may not be NULL says anything, so is not wiped yet."""
    return func.length(type_coerce(column, LargeBinary)) > EMPTY_BYTES


def is_past(moment: Any) -> ColumnElement[bool]:
    """Whether a moment that may never have come was before `BEFORE`, if it was."""
    return or_(moment.is_(None), moment < BEFORE)


# Records, and what was confirmed and decided of them


def _is_replaced(record: Any) -> ColumnElement[bool]:
    """Whether a record is neither the current nor the verified one, and has not been for long.

    A record with a higher number than the current one is an edit that was discarded.
    """
    newer, own = records.alias(), organisations
    verified = own.c.verified_record_id
    has_newer = (
        exists()
        .where(
            newer.c.organisation_id == record.c.organisation_id,
            newer.c.id > record.c.id,
            newer.c.made_at < BEFORE,
        )
        .correlate(record)  # by itself SQLAlchemy looks for it one level up alone
    )
    return exists().where(
        own.c.id == record.c.organisation_id,
        own.c.record_id != record.c.id,
        or_(verified.is_(None), verified != record.c.id),
        or_(has_newer, and_(record.c.id > own.c.record_id, record.c.made_at < BEFORE)),
    )


def _is_looked_at(record: Any) -> ColumnElement[bool]:
    """Whether a verification or somebody's draft speaks of a record."""
    return or_(
        exists().where(
            verifications.c.organisation_id == record.c.organisation_id,
            verifications.c.record_id == record.c.id,
        ),
        exists().where(
            drafts.c.organisation_id == record.c.organisation_id, drafts.c.record_id == record.c.id
        ),
    )


RECORD = and_(
    _is_replaced(records),
    not_(_is_looked_at(records)),
    ~exists().where(
        confirmations.c.organisation_id == records.c.organisation_id,
        confirmations.c.record_id == records.c.id,
    ),
)
"""Nobody speaks of the record any more, and for long it has not been true."""

_said = records.alias("said")
PROOF = ~exists().where(
    _said.c.organisation_id == proofs.c.organisation_id,
    _said.c.person == proofs.c.person,
    or_(
        and_(proofs.c.kind == "phone", _said.c.phone_fingerprint == proofs.c.fingerprint),
        and_(proofs.c.kind == "email", _said.c.email_fingerprint == proofs.c.fingerprint),
    ),
    or_(not_(_is_replaced(_said)), _is_looked_at(_said)),
)
"""No record that counts, or did lately, has this person and contact."""

_younger = confirmations.alias("younger")
_HAS_YOUNGER = exists().where(
    _younger.c.organisation_id == confirmations.c.organisation_id,
    _younger.c.requested_at > confirmations.c.requested_at,
)
REPORT = and_(confirmations.c.report.is_not(None), confirmations.c.ended_at < BEFORE, _HAS_YOUNGER)
"""What the person said is wrong; the last request's is still offered to the administrator."""

REQUEST = and_(
    confirmations.c.expires_at < BEFORE,
    is_past(confirmations.c.ended_at),
    _HAS_YOUNGER,
    ~exists().where(proofs.c.confirmation_id == confirmations.c.id),
    ~exists().where(codes.c.confirmation_id == confirmations.c.id),
    ~exists().where(email_links.c.confirmation_id == confirmations.c.id),
)
"""Not the last request of its organisation, nor one by which a contact was confirmed."""

_later, _last = verifications.alias("later"), verifications.alias("last")
VERIFICATION = exists().where(
    _later.c.organisation_id == verifications.c.organisation_id,
    _later.c.outcome == Outcome.VERIFIED,
    _later.c.submitted_at > verifications.c.submitted_at,
    _later.c.ended_at < BEFORE,
    exists().where(
        _last.c.organisation_id == _later.c.organisation_id,
        _last.c.outcome == Outcome.VERIFIED,
        _last.c.submitted_at > _later.c.submitted_at,
    ),
)
"""Older than the one before the last: what counts, and what it was compared with, stay."""

TO_NOBODY = and_(
    messages.c.organisation_id.is_(None),
    messages.c.account_id.is_(None),
    messages.c.posted_at < BEFORE,
)
RECIPIENT = and_(
    messages.c.due_at.is_(None),
    messages.c.worth_until.is_(None),
    messages.c.posted_at < BEFORE,
    is_past(messages.c.delivered_at),
    is_past(messages.c.failed_at),
    or_(says(messages.c.recipient), messages.c.words.is_not(None)),
    ~exists().where(
        confirmations.c.id == messages.c.about,
        or_(
            confirmations.c.expires_at >= BEFORE,
            exists().where(proofs.c.confirmation_id == confirmations.c.id),
        ),
    ),
)
"""It left, or never will, and no evidence names the address that it went to."""

# Accounts

_NAMES_NOBODY = ~exists().where(
    or_(
        verifications.c.submitted_by == accounts.c.id,
        verifications.c.specialist_id == accounts.c.id,
    )
)
# The dearest question stands last: SQLite asks in that order.
SUSPENDED = and_(accounts.c.suspended_at < BEFORE, says(accounts.c.email), _NAMES_NOBODY)
"""Suspended for long, and in no evidence as who sent or decided."""

NEVER_CAME = and_(
    accounts.c.created_at < BEFORE,
    says(accounts.c.email),
    ~exists().where(devices.c.account_id == accounts.c.id),
    ~exists().where(
        account_links.c.account_id == accounts.c.id,
        account_links.c.purpose == INVITATION,
        account_links.c.expires_at >= BEFORE,
    ),
    _NAMES_NOBODY,
)
"""No device was ever enrolled, and the last invitation is dead for long."""

WRONG_PASSWORDS = and_(
    wrong_passwords.c.counted_at < BEFORE, is_past(wrong_passwords.c.paused_until)
)
DEVICE_NAME = and_(devices.c.dropped_at < BEFORE, says(devices.c.name))


def _is_set_over() -> ColumnElement[bool]:
    """Whether a set was dropped, or was offered and never typed back."""
    kept = backup_codes.alias("kept")
    is_kept = exists().where(kept.c.set_id == code_sets.c.id, kept.c.kept_at.is_not(None))
    return and_(
        code_sets.c.made_at < BEFORE,
        is_past(code_sets.c.dropped_at),
        or_(code_sets.c.dropped_at.is_not(None), ~is_kept),
    )


BACKUP_CODE = exists().where(code_sets.c.id == backup_codes.c.set_id, _is_set_over())
CODE_SET = and_(_is_set_over(), ~exists().where(backup_codes.c.set_id == code_sets.c.id))

# Recoveries

CASE_IS_OVER = and_(
    is_past(cases.c.ended_at),
    cases.c.opened_at < BEFORE,
    is_past(cases.c.wait_until),
    is_past(cases.c.approved_at),
)
"""Also a case whose time ran out without a word: time is not a move."""

CASE = and_(CASE_IS_OVER, cases.c.number < select(func.max(cases.c.number)).scalar_subquery())
"""All but the newest one, which the next number is counted from."""

ANSWERS = and_(cases.c.answers.is_not(None), CASE_IS_OVER)
DIAGNOSTICS = and_(
    diagnostics.c.made_at < BEFORE, ~exists().where(cases.c.diagnostics_id == diagnostics.c.id)
)

# Campaigns


def _campaign_is_over() -> ColumnElement[bool]:
    return and_(
        campaigns.c.state != State.RUNNING,
        campaigns.c.made_at < BEFORE,
        is_past(campaigns.c.ended_at),
    )


_OF_OVER = exists().where(campaigns.c.id == campaign_items.c.campaign_id, _campaign_is_over())
TYPED = and_(campaign_items.c.typed.is_not(None), _OF_OVER)
ITEM = _OF_OVER
CAMPAIGN = and_(
    _campaign_is_over(), ~exists().where(campaign_items.c.campaign_id == campaigns.c.id)
)
