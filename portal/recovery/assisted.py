"""What specialists do in a case: look at the computer, ask, judge, and agree as a second one.

No verb here shows a true answer, a code or a secret, nor says which answer was wrong.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import bindparam, update

from portal import account, agents, clock, config, diagnostics, limits, networks
from portal.account import Account, session
from portal.account.session import Seen
from portal.database import db
from portal.diagnostics import Diagnostics
from portal.language import mark as _
from portal.limits import Limit
from portal.recovery.answers import judge
from portal.recovery.case import Case, NotOpenError, Reason, Standing, State
from portal.recovery.course import (
    cancel_link,
    end_refused,
    is_specialist_for,
    known,
    let_wait,
    move,
    needs_two,
    note,
    write_sms,
)
from portal.recovery.facts import facts_of
from portal.recovery.grant import give_code
from portal.recovery.questions import catalogue
from portal.recovery.tables import cases

LOOKS = (Limit(1, timedelta(hours=24)),)


class Claim(StrEnum):
    """What became of the number that a specialist typed."""

    FOUND = "found"
    MISTYPED = "mistyped"
    UNKNOWN = "unknown"
    OLD = "old"
    CLAIMED = "claimed"
    FOREIGN = "foreign"  # another account's password was typed in that browser
    TAKEN = "taken"  # another specialist works on the case
    OWN = "own"  # of no specialist, or the specialist's own


CLAIMS = {
    Claim.FOUND: "",
    Claim.MISTYPED: _("В номере ошибка. Попросите прочитать его ещё раз: девять цифр."),
    Claim.UNKNOWN: _("Такого номера нет. Попросите прочитать его ещё раз."),
    Claim.OLD: _("Номер действует 15 минут, и они прошли. Попросите пройти диагностику заново."),
    Claim.CLAIMED: _("Этот номер уже вводили. Попросите пройти диагностику заново."),
    Claim.FOREIGN: _("Номер чужой: на этом компьютере входят в другую учётную запись."),
    Claim.TAKEN: _("Этим восстановлением уже занимается другой специалист."),
    Claim.OWN: _("Свой доступ восстанавливает другой специалист."),
}


class Verdict(StrEnum):
    """Whether the answers were enough, or why they were not judged."""

    ENOUGH = "enough"
    NOT_ENOUGH = "not_enough"
    STALE = "stale"  # the computer was seen too long ago: a new number is needed
    NEW_EMAIL = "new_email"
    TAKEN = "taken"


VERDICTS = {
    Verdict.ENOUGH: _("Достаточно."),
    Verdict.NOT_ENOUGH: _("Недостаточно."),
    Verdict.STALE: _("Диагностика старше 60 минут. Попросите пройти её заново и введите номер."),
    Verdict.NEW_EMAIL: _("Email учётной записи изменили меньше 7 дней назад: решать пока нельзя."),
    Verdict.TAKEN: _("Этим восстановлением занимается другой специалист."),
}


class Approval(StrEnum):
    """Whether the second specialist's word counted."""

    APPROVED = "approved"
    NOT_A_THIRD = "not_a_third"  # works on the case, lost the device, or is no specialist
    NEW_EMAIL = "new_email"


APPROVALS = {
    Approval.APPROVED: "",
    Approval.NOT_A_THIRD: _("Решение подтверждает другой специалист, не тот, кто его принял."),
    Approval.NEW_EMAIL: _("Email учётной записи изменили меньше 7 дней назад: решать пока нельзя."),
}


class Place(StrEnum):
    """Where a computer stands."""

    ORGANISATION = "organisation"  # in the networks of one of the owner's organisations
    CHANNEL = "channel"  # in the portal's secure networks
    STAFF = "staff"  # where accounts may sign in from
    OUTSIDE = "outside"


PLACES = {
    Place.ORGANISATION: _("защищённый канал организации"),
    Place.CHANNEL: _("защищённый канал портала"),
    Place.STAFF: _("сеть для входа сотрудников"),
    Place.OUTSIDE: _("вне защищённого канала"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the computer that the person sits at."""

    diagnostics: Diagnostics
    place: Place
    seen: Seen
    browser: str

    @property
    def is_fresh(self) -> bool:
        """Whether a verdict may still rest on it."""
        return self.diagnostics.is_evidence


_THIS = (
    cases.c.id == bindparam("of"),
    cases.c.state == State.ASKING,
    cases.c.specialist_id == bindparam("by"),
)
_CLAIM_ANEW = update(cases).where(*_THIS).values(diagnostics_id=bindparam("to"))
_KEEP_ANSWERS = update(cases).where(*_THIS).values(answers=bindparam("typed"))
_APPROVE = (
    update(cases)
    .where(
        cases.c.id == bindparam("of"),
        cases.c.state == State.WAITING,
        cases.c.approved_by.is_(None),
        cases.c.specialist_id != bindparam("by"),
        cases.c.account_id != bindparam("by"),
    )
    .values(approved_by=bindparam("by"), approved_at=bindparam("now"))
)


def claim_number(case: Case, specialist: Account, typed: str, address: object) -> Claim:
    """Take the number of the person's computer; who is first works on the case from then on.

    They may take a newer one when the person moves to another computer, or the first is too old to
    judge by. Raises NotOpenError.
    """
    case.must_be(Standing.OPENED, Standing.ASKING)
    if not is_specialist_for(specialist, case):
        return Claim.OWN
    if case.specialist_id not in {None, specialist.id}:
        return Claim.TAKEN
    if case.diagnostics_id and diagnostics.is_number_of(typed, case.diagnostics_id):
        return Claim.FOUND  # pressed again: that computer is shown already
    result, found = diagnostics.claim(typed)
    if found is None:
        return Claim(result)
    if found.account_id not in {None, case.owner.id}:
        note(case, "number_refused", specialist.id, address, diagnostics=found.id)
        return Claim.FOREIGN
    if case.state is State.OPENED:
        move(
            case,
            State.ASKING,
            specialist.id,
            address,
            specialist_id=specialist.id,
            diagnostics_id=found.id,
        )
    elif not db.changed(_CLAIM_ANEW, of=case.id, by=specialist.id, to=found.id):
        raise NotOpenError(known(case.id).standing)
    note(case, "number_claimed", specialist.id, address, diagnostics=found.id)
    note_look(known(case.id), specialist, address)
    return Claim.FOUND


def look_up(case: Case, specialist: Account, address: object) -> None:
    """Write down that a specialist was shown the evidence, or had facts compared."""
    note(case, "looked_up", specialist.id, address)


def is_new_look(case: Case, specialist: Account) -> bool:
    """Whether there is evidence to be seen, and this is the first look of somebody today."""
    return bool(case.diagnostics_id) and not limits.free_at(_look(case, specialist), LOOKS)


def note_look(case: Case, specialist: Account, address: object) -> None:
    """Write down that somebody is shown the evidence, once a day."""
    if is_new_look(case, specialist):
        limits.use(_look(case, specialist))
        look_up(case, specialist, address)


def _look(case: Case, specialist: Account) -> str:
    return f"looks of {specialist.id} at {case.id}"


def evidence(case: Case) -> Evidence | None:
    """What is known of the person's computer; None before its number was told, or once erased."""
    found = diagnostics.find(case.diagnostics_id or "")
    if found is None or not case.owner.email:
        return None
    return Evidence(
        diagnostics=found,
        place=_place(case, found.address),
        seen=session.seen_from(case.owner, found.address),
        browser=agents.describe(found.agent),
    )


def _place(case: Case, text: str) -> Place:
    address = networks.parse(text)
    if networks.is_inside(address, account.networks_of(case.owner)):
        return Place.ORGANISATION
    if networks.is_inside(address, config.settings.secure_networks):
        return Place.CHANNEL
    return Place.STAFF if networks.is_staff(address) else Place.OUTSIDE


def keep_answers(case: Case, specialist: Account, answers: dict[str, str]) -> bool:
    """Keep what was typed so far, encrypted; False if another specialist works on the case.

    Raises NotOpenError once it is judged.
    """
    case.must_be(Standing.ASKING)
    typed = json.dumps(answers, ensure_ascii=False)
    return bool(db.changed(_KEEP_ANSWERS, of=case.id, by=specialist.id, typed=typed))


def decide(case: Case, specialist: Account, answers: dict[str, str], address: object) -> Verdict:
    """Judge the answers, once in a case. Raises NotOpenError if they were judged before.

    The owner is told on every address, and may stop the case as long as it waits.
    """
    case.must_be(Standing.ASKING)
    if not is_specialist_for(specialist, case) or case.specialist_id != specialist.id:
        return Verdict.TAKEN
    seen = evidence(case)
    if seen is None or not seen.is_fresh:
        return Verdict.STALE
    if account.has_new_email(case.owner):
        return Verdict.NEW_EMAIL
    keep_answers(case, specialist, answers)
    look_up(case, specialist, address)
    service = catalogue().get(case.service)  # None: an operator took it out meanwhile
    if not service or not judge(service, answers, facts_of(case.owner, case.service)):
        end_refused(case, specialist.id, Reason.ANSWERS, address)
        return Verdict.NOT_ENOUGH
    settings = config.settings
    is_slow = needs_two(case.owner)
    hours = settings.recovery_staff_hours if is_slow else settings.recovery_hours
    waiting = let_wait(case, specialist, address, timedelta(hours=hours))
    _tell_of_wait(waiting, needs_approval=is_slow)
    if not is_slow:
        give_code(waiting)
    return Verdict.ENOUGH


def approve(case: Case, approver: Account, address: object) -> Approval:
    """Agree as a second specialist, who neither worked on the case nor lost the device.

    Raises NotOpenError if nobody is asked to agree.
    """
    case.must_be(Standing.APPROVAL)
    is_third = is_specialist_for(approver, case) and approver.id != case.specialist_id
    if not is_third or case.is_administrators:
        return Approval.NOT_A_THIRD
    if account.has_new_email(case.owner):
        return Approval.NEW_EMAIL
    if not db.changed(_APPROVE, of=case.id, by=approver.id, now=clock.now()):
        raise NotOpenError(known(case.id).standing)
    note(case, "approved", approver.id, address)
    give_code(known(case.id))
    return Approval.APPROVED


def _tell_of_wait(case: Case, *, needs_approval: bool) -> None:
    """Tell the owner on every address, with a link to stop the case."""
    assert case.wait_until
    account.write(
        case.owner,
        "case_waiting",
        about=case.id,
        number=case.number,
        until=case.wait_until.isoformat(),
        code_until=case.expires_at.isoformat(),
        needs_approval=needs_approval,
        token=cancel_link(case),
    )
    write_sms(case, "case_waiting", until=case.wait_until.isoformat())
