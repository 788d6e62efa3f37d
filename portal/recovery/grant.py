"""The one-time code that a case comes to: given, typed, and a new device in place of the lost one.

The code is worth something in one browser, together with the password, and only while its case is
granted. It opens the enrolment of a new device and nothing else.
"""

import hmac
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, update

from portal import account, clock, device, diagnostics, keys, limits, proofs
from portal.account import Account, administers, session
from portal.account.session import Session, Stage
from portal.database import db
from portal.device.backup_codes import ALPHABET, one_spelling
from portal.recovery.case import Case, NotOpenError, Reason, Standing, State, find
from portal.recovery.course import cancel_link, end_refused, known, let_wait, move, note, write_sms
from portal.recovery.opening import PER_ACCOUNT, Refusal, add, end_expired, why_no_code
from portal.recovery.tables import cases

SIGNS, GROUP = 8, 4  # 40 bits, of which anybody has TRIES guesses
TRIES = 5  # product.md, «Numbers»


class Judgement(StrEnum):
    """What a typed code turned out to be."""

    RIGHT = "right"
    WRONG = "wrong"
    USED_UP = "used_up"  # that was the last try, and the case is refused
    OTHER_BROWSER = "other_browser"
    NOT_GRANTED = "not_granted"  # its standing says why


class Answer(NamedTuple):
    """A judgement, with the tries left."""

    judgement: Judgement
    tries_left: int = 0


_SEAL = (
    update(cases)
    .where(cases.c.id == bindparam("of"), cases.c.seal.is_(None))
    .values(seal=bindparam("to"))
)
# Counting comes before comparing, in a conditional update: of any number of tries at the same
# moment no more are judged than are allowed.
_COUNT_TRY = (
    update(cases)
    .where(
        cases.c.id == bindparam("of"),
        cases.c.state == State.WAITING,
        cases.c.wait_until <= bindparam("now"),
        cases.c.seal.is_not(None),
        cases.c.tries < bindparam("most"),
    )
    .values(tries=cases.c.tries + 1)
    .returning(cases.c.tries)
)
_FORGIVE_TRY = (
    update(cases)
    .where(cases.c.id == bindparam("of"), cases.c.tries > 0)
    .values(tries=cases.c.tries - 1)
)


def give_code(case: Case) -> None:
    """Post the code to the owner's email, for when the wait is over; only its seal is kept.

    A case has one code: where it was posted, nothing is.
    """
    assert case.wait_until
    code = "".join(secrets.choice(ALPHABET) for _ in range(SIGNS))
    if not db.changed(_SEAL, of=case.id, to=proofs.seal_code(_purpose(case), code)):
        return
    account.write(
        case.owner,
        "case_code",
        about=case.id,
        not_before=case.wait_until,
        useful_until=case.expires_at,
        number=case.number,
        code=f"{code[:GROUP]}-{code[GROUP:]}",
        until=case.expires_at.isoformat(),
        same_browser=case.diagnostics_id is not None,
        token=cancel_link(case),
    )
    note(case, "code_posted", "portal", "")


def grant_by_administrator(
    administrator: Account, owner: Account, address: object
) -> Case | Refusal:
    """Let an operational user of one's own organisation enrol a new device, without a wait.

    It ends no case that a specialist works on.
    """
    if not administers(administrator, owner) or not device.has_device(administrator.id):
        return Refusal.NOT_YOURS
    refusal = why_no_code(owner)
    if refusal:
        return refusal
    case = end_expired(owner)
    if case and case.state is not State.ROUTED:
        return Refusal.OPEN_CASE
    name = f"grants to {owner.id}"
    if limits.free_at(name, PER_ACCOUNT):
        return Refusal.TOO_MANY
    limits.use(name)
    case = case or add(owner, State.ROUTED, "", administrator.id, address)
    waiting = let_wait(case, administrator, address, timedelta())
    give_code(waiting)
    write_sms(waiting, "case_granted", until=waiting.expires_at.isoformat())
    return known(case.id)


def enter_code(
    case: Case, owner: Account, typed: str, browser_cookie: str, address: object
) -> Answer:
    """Judge a typed code. A right one lets the owner in to enrol a device, until that is done.

    It has to be typed by who gave the password, in the browser that ran the diagnostics; the case
    of an administrator has none, and any browser will do.
    """
    if owner.id != case.owner.id or case.standing is not Standing.GRANTED:
        return Answer(Judgement.NOT_GRANTED)
    if account.has_new_email(case.owner):
        return Answer(Judgement.NOT_GRANTED)
    if case.diagnostics_id and not diagnostics.is_browser_of(browser_cookie, case.diagnostics_id):
        return Answer(Judgement.OTHER_BROWSER)
    tries = db.scalar(_COUNT_TRY, of=case.id, now=clock.now(), most=TRIES)
    if tries is None:
        return Answer(Judgement.NOT_GRANTED)
    if _is_code(case, typed):
        db.execute(_FORGIVE_TRY, {"of": case.id})  # who lost the window may type it again
        note(case, "code_entered", owner.id, address)
        return Answer(Judgement.RIGHT)
    note(case, "code_wrong", owner.id, address, tries=tries)
    if tries < TRIES:
        return Answer(Judgement.WRONG, TRIES - tries)
    end_refused(known(case.id), owner.id, Reason.TRIES, address)
    return Answer(Judgement.USED_UP)


def complete(enrolment: Session, device_id: str, address: object) -> Case:
    """Put a new device in place of what was lost, in the transaction that adds it.

    Every other device and all backup codes made before it stop working, and every session but this
    one ends. The grant may have run out while the device was enrolled: its session is short.
    Raises NotOpenError if the case was stopped meanwhile.
    """
    found = find(enrolment.case_id or "")
    is_its = found and enrolment.stage is Stage.ENROLMENT
    if not found or not is_its or found.owner.id != enrolment.account.id:
        raise NotOpenError
    if not found.has_waited or found.needs_approval or account.has_new_email(found.owner):
        raise NotOpenError(found.standing)
    completed = move(found, State.COMPLETED, found.owner.id, address)
    device.drop_all(found.owner, address, but=device_id)
    session.end_all(found.owner, but=enrolment)
    account.write(
        found.owner,
        "case_completed",
        about=found.id,
        number=found.number,
        at=clock.now().isoformat(),
        address=str(address or ""),
    )
    return completed


def _is_code(case: Case, typed: str) -> bool:
    """Whether it is the case's code, compared in constant time; forgiven as a backup code is."""
    if len(typed) > proofs.LONGEST_TYPED or not case.seal:
        return False
    code = one_spelling(typed)
    matches = [hmac.compare_digest(each, case.seal) for each in keys.seals(code, _purpose(case))]
    return any(matches)


def _purpose(case: Case) -> str:
    """What a code is for, so that it is worth nothing in another case."""
    return f"grant {case.id}"
