"""Opening a case, by its owner or by a specialist on the phone."""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select

from portal import (
    account,
    checks,
    clock,
    device,
    journal,
    limits,
    metrics,
    organisation,
    proofs,
)
from portal.account import Account, Role
from portal.checks import BadValueError
from portal.database import db
from portal.language import mark as _
from portal.limits import Limit
from portal.recovery.case import Case, Reason, State, find, last_case_of
from portal.recovery.course import cancel_link, move, write_sms
from portal.recovery.questions import catalogue
from portal.recovery.tables import cases

DENIALS = (Limit(20, timedelta(hours=24)),)  # of one account by one person, each with its line
PER_ACCOUNT = (Limit(3, timedelta(hours=24)),)  # so that verdicts are no oracle


class Refusal(StrEnum):
    """Why there is no case."""

    UNKNOWN = "unknown"
    OWN = "own"
    NOT_YOURS = "not_yours"
    SUSPENDED = "suspended"
    NO_SERVICE = "no_service"
    NO_DEVICE = "no_device"
    NEW_EMAIL = "new_email"
    OPEN_CASE = "open_case"
    TOO_MANY = "too_many"
    GUESSED = "guessed"


class Sentences(NamedTuple):
    """What staff read, and what the caller, or who typed the password, may know of it."""

    staff: str
    caller: str


NEUTRAL = _("Сейчас восстановить доступ нельзя. Позвоните в поддержку: специалист подскажет.")
SENTENCES = {
    Refusal.UNKNOWN: Sentences(
        _(
            "Учётной записи с таким email и таким телефоном нет. Возможно, телефона в ней просто "
            "не записали: тогда попросите звонящего самого ввести на портале email и пароль "
            "и начать восстановление."
        ),
        _("По этим данным начать восстановление нельзя. Проверьте email и телефон."),
    ),
    Refusal.OWN: Sentences(
        _("Свой доступ восстанавливает другой специалист."),
        _("Свой доступ восстанавливает другой специалист."),
    ),
    Refusal.NOT_YOURS: Sentences(
        _("Администратор восстанавливает доступ только сотрудникам своей организации, не себе."),
        NEUTRAL,
    ),
    Refusal.SUSPENDED: Sentences(
        _("Эта учётная запись приостановлена: восстанавливать доступ к ней нельзя."),
        NEUTRAL,
    ),
    Refusal.NO_SERVICE: Sentences(_("Выберите сервис из списка."), _("Выберите сервис из списка.")),
    Refusal.NO_DEVICE: Sentences(
        _("Второй фактор ещё не настроен, восстанавливать нечего. Нужно новое приглашение."),
        _("Второй фактор ещё не настроен. Откройте ссылку из письма с приглашением."),
    ),
    Refusal.NEW_EMAIL: Sentences(
        _("Email этой учётной записи изменили меньше 7 дней назад. Восстановление пока закрыто."),
        NEUTRAL,
    ),
    Refusal.OPEN_CASE: Sentences(
        _("Восстановление этой учётной записи уже идёт."),
        _("Восстановление уже начато. Дождитесь его окончания."),
    ),
    Refusal.TOO_MANY: Sentences(
        _("За последние 24 часа восстановление начинали три раза. Больше пока нельзя."),
        NEUTRAL,
    ),
    Refusal.GUESSED: Sentences(
        _(
            "За последние 24 часа вам слишком часто отказывали по этой учётной записи. Попросите "
            "звонящего самого ввести на портале email и пароль и начать восстановление."
        ),
        NEUTRAL,
    ),
}

_NEXT_NUMBER = select(func.coalesce(func.max(cases.c.number), bindparam("none")) + 1)
_ADD = insert(cases)


def open_by_owner(owner: Account, service: str, address: object) -> Case | Refusal:
    """Open a case for who typed the password and has no second factor.

    The service says what a specialist asks: a case for administrators has none.
    """
    return _open_and_tell(owner, service, owner, address)


def open_by_specialist(
    specialist: Account, email: str, phone: str, service: str, address: object
) -> Case | Refusal:
    """Open a case for who calls; email and phone must both be those of one account."""
    owner = account.find_by_email(email.strip())
    if owner is None:
        return Refusal.UNKNOWN
    if specialist.role is not Role.SPECIALIST:
        return _denied(owner, Refusal.NOT_YOURS, specialist, address)
    if owner.id == specialist.id:
        return _denied(owner, Refusal.OWN, specialist, address)
    if limits.free_at(_denials(owner, specialist), DENIALS):
        return Refusal.GUESSED  # who goes on would find the phone
    if not owner.phone or owner.phone != _one_spelling(phone):
        return _denied(owner, Refusal.UNKNOWN, specialist, address)
    return _open_and_tell(owner, service, specialist, address)


def administrators_of(owner: Account) -> list[tuple[Account, str]]:
    """Who looks after an operational user: enrolled administrators, each with an organisation."""
    if not owner.is_operational:
        return []
    return [
        (each, id)
        for id in owner.organisations
        for each in account.administrators_of(id)
        if device.has_device(each.id)
    ]


def why_no_code(owner: Account) -> Refusal | None:
    """Why no case of the account can come to a code, however it is opened."""
    if owner.suspended_at:
        return Refusal.SUSPENDED
    if not device.has_device(owner.id):
        return Refusal.NO_DEVICE
    return Refusal.NEW_EMAIL if account.has_new_email(owner) else None


def end_expired(owner: Account) -> Case | None:
    """Write down that the time of a case is over; returns the case that is still open."""
    last = last_case_of(owner)
    if last is None or last.ended_at:
        return None
    if last.is_open:
        return last
    move(last, State.CANCELLED, "time", reason=Reason.EXPIRED)
    return None


def add(owner: Account, state: State, service: str, opened_by: str, address: object) -> Case:
    """A new case, in one of the two states that a case begins in."""
    id, number = proofs.new_public_id(), db.scalar(_NEXT_NUMBER, none=0)
    db.execute(
        _ADD,
        {
            "id": id,
            "number": number,
            "account_id": owner.id,
            "state": state,
            "service": service,
            "opened_at": clock.now(),
            "opened_by": opened_by,
        },
    )
    journal.record(owner.chain, f"case.{state}", opened_by, address, case=number, service=service)
    metrics.recoveries.note(state)
    added = find(id)
    assert added, "it was added a moment ago"
    return added


def _open_and_tell(
    owner: Account, service: str, opener: Account, address: object
) -> Case | Refusal:
    name = f"cases of {owner.id}"
    administrators = administrators_of(owner)
    service = "" if administrators else service
    refusal = None if administrators or service in catalogue() else Refusal.NO_SERVICE
    refusal = refusal or why_no_code(owner)
    if refusal is None and end_expired(owner):
        refusal = Refusal.OPEN_CASE
    if refusal is None and limits.free_at(name, PER_ACCOUNT):
        refusal = Refusal.TOO_MANY
    if refusal:
        return _denied(owner, refusal, opener, address)
    limits.use(name)
    state = State.ROUTED if administrators else State.OPENED
    case = add(owner, state, service, opener.id, address)
    _tell_owner(case)
    for administrator, organisation_id in administrators:
        _tell_administrator(case, administrator, organisation_id)
    return case


def _one_spelling(phone: str) -> str:
    try:
        return checks.phone(phone)
    except BadValueError:
        return ""


def _tell_owner(case: Case) -> None:
    account.write(
        case.owner,
        "case_opened",
        about=case.id,
        number=case.number,
        at=case.opened_at.isoformat(),
        until=case.expires_at.isoformat(),
        by_owner=case.opened_by == case.owner.id,
        is_routed=case.state is State.ROUTED,
        token=cancel_link(case),
    )
    write_sms(case, "case_opened")


def _tell_administrator(case: Case, administrator: Account, organisation_id: str) -> None:
    found = organisation.find(organisation_id)
    assert found, "a member's organisation is there"
    account.write(
        administrator,
        "case_routed",
        about=case.id,
        number=case.number,
        id=organisation_id,
        organisation=found.details.short_name,
        name=case.owner.name,
        email=case.owner.email,
        until=case.expires_at.isoformat(),
        is_one_proof=account.has_new_password(case.owner),
    )


def _denied(owner: Account, refusal: Refusal, opener: Account, address: object) -> Refusal:
    name = _denials(owner, opener)
    if not limits.free_at(name, DENIALS):
        limits.use(name)
        journal.record(owner.chain, "case.denied", opener.id, address, reason=refusal)
    return refusal


def _denials(owner: Account, opener: Account) -> str:
    return f"denied cases of {owner.id} by {opener.id}"
