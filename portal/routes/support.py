"""The specialist's console of recoveries.

The specialist sees the computer and notes the answers; the portal compares, and says only whether
they are enough. No button here shows or sets a secret.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, organisation, recovery
from portal.account import Role
from portal.cookie import is_own_form
from portal.database import LARGEST, db
from portal.language import gettext as _
from portal.language import mark
from portal.pages import respond, stale
from portal.recovery import Approval, Case, Claim, NotOpenError, Reason, Refusal, Verdict, Which
from portal.recovery.questions import Kind, Question, Service, catalogue

bp = Blueprint("support", __name__, url_prefix="/support")
bp.before_request(access.only(Role.SPECIALIST))

LONGEST_ANSWER = 300
# What a refused caller is told: nothing that would tell a stranger about the account.
NOT_NOW = mark("Сейчас восстановить доступ нельзя. Попробуйте через несколько дней.")
CALLERS = {each: words.caller for each, words in recovery.SENTENCES.items()} | dict.fromkeys(
    (Refusal.NEW_EMAIL, Refusal.TOO_MANY, Refusal.NOT_YOURS, Refusal.SUSPENDED), NOT_NOW
)
# How an answer of each kind is written, and what is said of one that cannot be read.
HINTS = {
    Kind.DATE: mark("например, 19.11.2026"),
    Kind.MOMENT: mark("например, 19.11.2026 09:30"),
    Kind.NUMBER: mark("например, 12"),
    Kind.PHONE: mark("например, +7 921 555-01-47"),
    Kind.EMAIL: mark("например, i.lomova@example.ru"),
    Kind.LIST: mark("через запятую"),
    Kind.NOTE: mark("не сверяется"),
}
OF_DATES = mark("через запятую: 02.03.2026, 15.04.2026")
NOT_A_DATE = mark("Не понять дату. Пишите день, месяц и год: 19.11.2026. Не помнит — сотрите.")
UNREADABLE = {
    Kind.DATE: NOT_A_DATE,
    Kind.LIST: NOT_A_DATE,
    Kind.MOMENT: mark("Не понять дату и время. Пишите так: 19.11.2026 09:30. Не помнит — сотрите."),
    Kind.NUMBER: mark("Не понять число. Пишите цифрами: 12. Не помнит — сотрите."),
    Kind.PHONE: mark("Не понять номер. Пишите его целиком: +7 921 555-01-47. Не помнит — сотрите."),
    Kind.EMAIL: mark(
        "Не понять email. Пишите его целиком: i.lomova@example.ru. Не помнит — сотрите."
    ),
}
ANYWAY = "anyway"  # says the button that has the answers judged although some are missing
FROM_RECORD = {Refusal.UNKNOWN}  # what is wrong with the email and phone that were typed


# The list


@bp.get("/cases")
def cases() -> ResponseReturnValue:
    which = request.args.get("which", Which.OPEN)
    if which not in set(Which):
        abort(404)
    after = min(max(request.args.get("after", 0, type=int), 0), LARGEST)
    listed = recovery.list_cases(Which(which), after)
    return respond(
        "support/cases.html",
        "support/_cases.html",
        listed=listed,
        which=which,
        after=after,
        services=catalogue(),
        workers=account.names_of(
            {each.specialist_id for each in listed.cases if each.specialist_id}
        ),
    )


@bp.route("/cases/new", methods=["GET", "POST"])
def new_case() -> ResponseReturnValue:
    """For a caller who cannot open one: email and phone have to be of one account."""
    if request.method == "GET":
        return _new_case_page()
    if not is_own_form():
        return _new_case_page(stale(), 422)
    service, email = request.form.get("service", ""), request.form.get("email", "")
    if service not in catalogue():
        return _new_case_page(_("Выберите, куда входил звонящий."), 422, "service")
    phone = request.form.get("phone", "")
    opened = recovery.open_by_specialist(access.me(), email, phone, service, g.address)
    db.commit()
    if isinstance(opened, Case):
        return redirect(url_for(".case", id=opened.id), 303)
    where = "email" if opened in FROM_RECORD else ""
    error, status = _(recovery.SENTENCES[opened].staff), 422 if where else 409
    if opened is Refusal.OPEN_CASE:
        owner = account.find_by_email(email.strip())
        known = recovery.open_case_of(owner) if owner else None
        return _new_case_page(error, status, known=known)
    return _new_case_page(error, status, where, say=_(CALLERS[opened]))


def _new_case_page(
    error: str = "", status: int = 200, where: str = "", say: str = "", known: Case | None = None
) -> Response:
    return respond(
        "support/new_case.html",
        status=status,
        error=error,
        where=where,
        say=say,
        known=known,
        typed=request.form,
        services=catalogue(),
    )


# A case


@bp.get("/cases/<id>")
def case(id: str) -> ResponseReturnValue:
    found = _found(id)
    if request.args.get("seen") == found.version:
        return "", 204
    return _page(found)


@bp.post("/cases/<id>/number")
def claim_number(id: str) -> ResponseReturnValue:
    found = _found(id)
    if not is_own_form():
        return _page(found, stale(), 422)
    typed = request.form.get("number", "")
    claimed = recovery.claim_number(found, access.me(), typed, g.address)
    db.commit()
    if claimed is Claim.TAKEN:
        return _page(_found(id), _(recovery.CLAIMS[claimed]), 409)
    if claimed is not Claim.FOUND:
        return _page(_found(id), _(recovery.CLAIMS[claimed]), 422, "number")
    return redirect(url_for(".case", id=id), 303)


@bp.post("/cases/<id>/answers")
def keep_answers(id: str) -> ResponseReturnValue:
    """Note the answers; with the second button also have them judged, once."""
    found = _found(id)
    if not is_own_form():
        return _page(found, stale(), 422)
    service = catalogue().get(found.service)
    if service is None:  # an administrator's case has none
        return _page(found, _("О чём спрашивать в этом обращении, портал не знает."), 409)
    answers = {
        each.key: request.form.get(f"answer_{each.key}", "")[:LONGEST_ANSWER].strip()
        for each in service.questions
    }
    # They are kept in any case: also where there is no verdict yet, nothing is typed twice.
    is_kept = recovery.keep_answers(found, access.me(), answers)
    verdict = Verdict.ENOUGH if is_kept else Verdict.TAKEN
    if is_kept and "decide" in request.form:
        seen = recovery.evidence(found)
        unfit = _unfit(service, answers) if seen and seen.is_fresh else None
        if unfit:
            db.commit()
            return _page(_found(id), unfit.error, 422, "answers", unfit=unfit)
        verdict = recovery.decide(found, access.me(), answers, g.address)
    db.commit()
    if verdict not in {Verdict.ENOUGH, Verdict.NOT_ENOUGH}:
        say = _(NOT_NOW) if verdict is Verdict.NEW_EMAIL else ""
        return _page(_found(id), _(recovery.VERDICTS[verdict]), 409, say=say)
    return redirect(url_for(".case", id=id), 303)


class Unfit(NamedTuple):
    """Why answers are not judged yet; it says nothing of the facts."""

    error: str
    faults: Mapping[str, str] = MappingProxyType({})  # by the keys of questions
    is_question: bool = False  # the same press once more has them judged


def _unfit(service: Service, answers: dict[str, str]) -> Unfit | None:
    """A verdict is given once, so it is not spent on a slip of the pen or of the hand."""
    if not any(answers.values()):
        return Unfit(_("Запишите хотя бы один ответ: сверить можно один раз."))
    faults = {
        each.key: _(UNREADABLE[each.kind])
        for each in service.questions
        if answers[each.key] and not recovery.is_understood(each, answers[each.key])
    }
    if faults:
        return Unfit(_("Ответы пока не сверены: исправьте отмеченные."), faults)
    is_whole = all(answers[each.key] for each in service.questions if each.counts)
    if is_whole or request.form["decide"] == ANYWAY:
        return None
    words = _(
        "Записано %(count)s из %(all)s. Сверить можно один раз.",
        count=sum(map(bool, answers.values())),
        all=len(answers),
    )
    return Unfit(words, is_question=True)


@bp.post("/cases/<id>/approve")
def approve(id: str) -> ResponseReturnValue:
    found = _found(id)
    if not is_own_form():
        return _page(found, stale(), 422)
    said = recovery.approve(found, access.me(), g.address)
    if said is Approval.NOT_A_THIRD:
        access.note_refusal("case.approval_refused", case=found.number)
        return _page(_found(id), _(recovery.APPROVALS[said]), 403)
    db.commit()
    if said is not Approval.APPROVED:
        return _page(_found(id), _(recovery.APPROVALS[said]), 409)
    return redirect(url_for(".case", id=id), 303)


@bp.post("/cases/<id>/refuse")
def refuse(id: str) -> ResponseReturnValue:
    found = _found(id)
    if not is_own_form():
        return _page(found, stale(), 422)
    reason = request.form.get("reason", "")
    if reason not in recovery.CHOSEN_REASONS:
        return _page(found, _("Выберите причину отказа."), 422, "reason")
    recovery.refuse(found, access.me(), Reason(reason), g.address)
    db.commit()
    return redirect(url_for(".case", id=id), 303)


@bp.errorhandler(NotOpenError)
def not_open(_error: NotOpenError) -> ResponseReturnValue:
    """The case moved meanwhile: show how it stands."""
    db.begin(writes=False)
    id = str((request.view_args or {})["id"])
    return _page(_found(id), _("Обращение тем временем изменилось: вот как оно выглядит."), 409)


def _hint(question: Question) -> str:
    """How its answer is written, where that is not plain."""
    if question.of is Kind.DATE and question.kind is Kind.LIST:
        return _(OF_DATES)
    return _(HINTS[question.kind]) if question.kind in HINTS else ""


def _found(id: str) -> Case:
    """The case; nobody works on their own. Who asks for one that is not there is noted."""
    found = recovery.find(id)
    if found is None or found.owner.id == access.me().id:
        if found:
            access.note_refusal("case.own_refused", case=found.number)
        else:
            access.note_refusal("case.forged")
        abort(404)
    return found


@db.again
def _note_look(found: Case) -> None:
    """The page shows the computer; what the request did before is committed, or undone anyway."""
    with db.writing():
        recovery.note_look(found, access.me(), g.address)
        db.commit()


def _page(
    found: Case,
    error: str = "",
    status: int = 200,
    where: str = "",
    say: str = "",
    unfit: Unfit | None = None,
) -> Response:
    """The case, and what was wrong with the last press.

    `where` is the field, if there is one.
    """
    me = access.me()
    if recovery.is_new_look(found, me):
        _note_look(found)
    employers = [organisation.find(each) for each in found.owner.organisations]
    return respond(
        "support/case.html",
        "support/_case.html",
        status=status,
        case=found,
        employers=[each.details.short_name for each in employers if each],
        service=catalogue().get(found.service),
        evidence=recovery.evidence(found),
        specialist=account.find(found.specialist_id) if found.specialist_id else None,
        approver=account.find(found.approved_by) if found.approved_by else None,
        is_mine=found.specialist_id == me.id,
        unsent=request.method == "POST" and not is_own_form(),  # else what was typed is kept
        is_second=found.approved_by == me.id,
        may_refuse=found.may_be_stopped and recovery.may_refuse(found, me),
        places=recovery.PLACES,
        error=error,
        where=where,
        say=say,
        unfit=unfit,
        hint=_hint,
        reasons=recovery.REASONS,
        chosen_reasons=recovery.CHOSEN_REASONS,
        typed=request.form,
    )
