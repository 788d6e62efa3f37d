"""How a case moves: the one guard that knows the map, the clock and the journal; and its ends."""

from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, update

from portal import account, clock, journal, limits, outbox, proofs
from portal.account import STAFF, Account, Role, administers, session
from portal.database import db
from portal.limits import Limit
from portal.recovery.case import (
    Case,
    NotOpenError,
    Reason,
    State,
    find,
    last_case_of,
    worked_on_by,
)
from portal.recovery.tables import cases

SMS_TO_A_NUMBER = (Limit(10, timedelta(hours=24)),)  # as of codes: several accounts may have it
CANCEL = "cancel"  # the purpose that the link in every letter is signed for

ENDS = frozenset({State.COMPLETED, State.REFUSED, State.CANCELLED})
MOVES: dict[State, frozenset[State]] = {
    State.OPENED: frozenset({State.ASKING, State.REFUSED, State.CANCELLED}),
    State.ROUTED: frozenset({State.WAITING, State.REFUSED, State.CANCELLED}),
    State.ASKING: frozenset({State.WAITING, State.REFUSED, State.CANCELLED}),
    State.WAITING: ENDS,
    State.COMPLETED: frozenset(),
    State.REFUSED: frozenset(),
    State.CANCELLED: frozenset(),
}

_WRITES = {  # what a move writes beside the state
    State.ASKING: ("specialist_id", "diagnostics_id"),
    State.WAITING: ("specialist_id", "decided_at", "wait_until"),
} | dict.fromkeys(ENDS, ("ended_at", "reason"))
_MOVE = {
    to: update(cases)
    .where(
        cases.c.id == bindparam("of"),
        cases.c.state == bindparam("seen"),
        cases.c.ended_at.is_(None),
    )
    .values(
        state=to,
        **{name: bindparam(f"new_{name}") for name in names},
        **({"answers": None} if to in ENDS else {}),  # they have served, right or wrong
    )
    for to, names in _WRITES.items()
}


def move(
    case: Case,
    to: State,
    actor: str,
    address: object = "",
    *,
    reason: Reason | None = None,
    **changes: object,
) -> Case:
    """The one way a case moves. Raises NotOpenError if it cannot, or somebody was first.

    A case whose time is over moves only to its end by `Reason.EXPIRED`. At an end what is in the
    post is withdrawn, and who was let in to enrol a device is let out.
    """
    until = case.ends_at if to in ENDS else case.expires_at
    is_over = clock.now() >= until and reason is not Reason.EXPIRED
    if to not in MOVES[case.state] or is_over:
        raise NotOpenError(case.standing)
    if to in ENDS:
        changes |= {"ended_at": clock.now(), "reason": reason}
    values = {f"new_{name}": changes[name] for name in _WRITES[to]}
    if not db.changed(_MOVE[to], of=case.id, seen=case.state, **values):
        raise NotOpenError(known(case.id).standing)
    if to in ENDS:
        outbox.withdraw_all(case.id)
    if to in ENDS - {State.COMPLETED}:
        session.end_of_case(case.id)
    details = {"reason": reason} if reason else {}
    note(case, str(to), actor, address, **details)
    return known(case.id)


def let_wait(case: Case, by: Account, address: object, span: timedelta) -> Case:
    """Somebody decided that the owner is let in by a code, once a span of time has passed."""
    now = clock.now()
    return move(
        case,
        State.WAITING,
        by.id,
        address,
        specialist_id=by.id,
        decided_at=now,
        wait_until=now + span,
    )


def note(case: Case, what: str, actor: str, address: object, **details: object) -> None:
    """Add a line about a case to the journal of its owner."""
    journal.record(case.owner.chain, f"case.{what}", actor, address, case=case.number, **details)


def write_sms(case: Case, text: str, **words: Any) -> None:
    """Post an SMS about a case to its owner, who gets a letter as well; none beyond the limit."""
    owner = case.owner
    if not owner.phone:
        return
    # Administrators name their employees' numbers, and may name anybody's: those count apart.
    whose = owner.organisations[0] if owner.is_operational else owner.id
    name = f"sms about recoveries of {whose} to {owner.phone}"
    if limits.free_at(name, SMS_TO_A_NUMBER):
        return
    limits.use(name)
    outbox.post("sms", text, owner.phone, account_id=owner.id, about=case.id, **words)


def cancel_link(case: Case) -> str:
    """The token of the link that stops a case; it works as long as somebody may come in by it."""
    return proofs.sign(CANCEL, case.id)


def cancel_by_link(case_id: str, address: object) -> Case | None:
    """Stop a case, for who has its letter; None if there is nothing to stop."""
    found = find(case_id)
    if found is None or not found.may_be_stopped:
        return None
    return _cancel(found, Reason.LINK, "unknown", address)


def cancel_by_sign_in(owner: Account, address: object) -> Case | None:
    """Stop the case of who gave a second factor after all; None if there is none."""
    found = case_to_stop(owner)
    return found and _cancel(found, Reason.SIGN_IN, owner.id, address)


def cancel_by_change(owner: Account, actor: str, address: object) -> Case | None:
    """Stop the case of an account whose email, role or password was changed.

    It was opened for another email or role; who knew the old password may have opened it; and one
    that came by letter proves the mailbox, to which the code goes, so that more specialists have to
    agree than before.
    """
    found = case_to_stop(owner)
    return found and _cancel(found, Reason.CHANGED, actor, address)


def cancel_by_suspension(owner: Account, actor: str, address: object) -> Case | None:
    """Stop the case of an account that was suspended: nobody is to come back by it."""
    found = case_to_stop(owner)
    return found and _cancel(found, Reason.SUSPENDED, actor, address)


def cancel_by_wrong_factors(owner: Account, address: object) -> Case | None:
    """Stop the case of who is paused for wrong second factors.

    Else whoever knows the password could keep the owner from stopping it by signing in.
    """
    found = case_to_stop(owner)
    return found and _cancel(found, Reason.WRONG_FACTORS, "unknown", address)


def case_to_stop(owner: Account) -> Case | None:
    """The case of an account by which somebody may yet come in; there is one at most."""
    last = last_case_of(owner)
    return last if last and last.may_be_stopped else None


def _cancel(case: Case, reason: Reason, actor: str, address: object) -> Case:
    ended = move(case, State.CANCELLED, actor, address, reason=reason)
    account.write(
        case.owner,
        "case_cancelled",
        about=case.id,
        number=case.number,
        at=clock.now().isoformat(),
        reason=reason,
    )
    return ended


def refuse(case: Case, actor: Account, reason: Reason, address: object) -> bool:
    """End a case with nothing; False if it is not the actor's to refuse. Raises NotOpenError."""
    if not may_refuse(case, actor):
        return False
    end_refused(case, actor.id, reason, address)
    return True


def refuse_work_of(worker: Account, actor: str) -> None:
    """Refuse what rests on the word of somebody who was suspended, or lost the role for it."""
    for case in worked_on_by(worker):
        if case.may_be_stopped:
            end_refused(case, actor, Reason.WORKER, "")


def may_refuse(case: Case, actor: Account) -> bool:
    """Whether a case is somebody's to refuse, were it open.

    Any specialist may: that protects the owner, whoever is at work, and is in the journal. A case
    that the organisation's administrators look after is theirs, too.
    """
    if is_specialist_for(actor, case):
        return True
    return case.is_administrators and administers(actor, case.owner)


def end_refused(case: Case, actor: str, reason: Reason, address: object) -> None:
    """Refuse, and tell the owner where to turn."""
    move(case, State.REFUSED, actor, address, reason=reason)
    account.write(
        case.owner,
        "case_refused",
        about=case.id,
        number=case.number,
        at=clock.now().isoformat(),
        reason=reason,
        by_administrator=case.is_administrators
        and any(map(account.administrators_of, case.owner.organisations)),
    )


def is_specialist_for(specialist: Account, case: Case) -> bool:
    """Whether somebody is a specialist, and not the one who lost the device."""
    return specialist.role is Role.SPECIALIST and specialist.id != case.owner.id


def needs_two(owner: Account) -> bool:
    """Whether two specialists have to agree, after a longer wait.

    For administrators and specialists (product.md, «Numbers»); and where the password came by
    letter a short while ago: it proves the mailbox alone, to which the code goes, too.
    """
    return owner.role in STAFF or account.has_new_password(owner)


def known(id: str) -> Case:
    found = find(id)
    assert found, "it was there a moment ago"
    return found
