"""An administrator's own people: giving a new second factor to who lost theirs.

product.md, «Sign-in and the lost device», 5: never their own, with a second factor of a moment
ago, and told to the owner.
"""

from enum import StrEnum
from typing import NamedTuple

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from portal import access, account, device, journal, organisation, recovery
from portal.access import CAME_FOR
from portal.account import Account, Role
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import respond
from portal.recovery import Case, NotOpenError, Reason, Refusal, Standing
from portal.routes.account import stale

bp = Blueprint("people", __name__, url_prefix="/people")
bp.before_request(access.only(Role.ADMINISTRATOR))


class Factor(StrEnum):
    """How somebody's second factor stands, as the administrator sees it."""

    MISSING = "missing"  # the invitation was not taken up
    READY = "ready"
    ASKED_FOR = "asked_for"  # they ask for a new one
    SENT = "sent"  # the code is with them
    WITH_SUPPORT = "with_support"


class Person(NamedTuple):
    """A line of the list."""

    account: Account
    factor: Factor
    case: Case | None

    @property
    def may_be_reset(self) -> bool:
        """Whether a reset has something to do; the noun judges it anew."""
        return self.account.is_operational and self.factor in {Factor.READY, Factor.ASKED_FOR}


@bp.get("")
def page() -> ResponseReturnValue:
    return _page()


@bp.get("/<id>/reset")
def reset_page(id: str) -> ResponseReturnValue:
    """What a reset does, before the button."""
    person = _own(id)
    if not access.mine().is_fresh:
        cookie[CAME_FOR] = url_for(".reset_page", id=id)
    return access.needs_second_factor() or _reset_page(person)


@bp.post("/<id>/reset")
def reset(id: str) -> ResponseReturnValue:
    person = _own(id)
    if not is_own_form():
        return _reset_page(person, stale(), 422)
    if not access.mine().is_fresh:
        cookie[CAME_FOR] = url_for(".reset_page", id=id)
        return redirect(url_for("check.page"), 303)
    granted = recovery.grant_by_administrator(access.me(), person.account, g.address)
    db.commit()
    if granted is Refusal.OPEN_CASE:
        return _page(_("Доступ этого сотрудника уже восстанавливают: вот как обстоит дело."), 409)
    if isinstance(granted, Refusal):
        return _reset_page(person, _(recovery.SENTENCES[granted].staff), 409)
    return redirect(url_for(".page", done=id), 303)


@bp.post("/<id>/refuse")
def refuse(id: str) -> ResponseReturnValue:
    """Refuse what was asked for, or take back the code: either only ever protects its owner."""
    person = _own(id)
    if not is_own_form():
        return _page(stale(), 422)
    reason = Reason.WITHDRAWN if person.factor is Factor.SENT else Reason.STRANGER
    case = person.case
    if case is None or not recovery.refuse(case, access.me(), reason, g.address):
        return _page(_("Отказать уже нельзя: вот как обстоит дело."), 409)
    db.commit()
    if reason is Reason.WITHDRAWN:
        return redirect(url_for(".page", withdrawn=id), 303)
    return redirect(url_for(".page", refused=id), 303)


@bp.errorhandler(NotOpenError)
def not_open(_error: NotOpenError) -> ResponseReturnValue:
    """The case moved meanwhile: show how things stand."""
    db.begin(writes=False)
    return _page(_("Доступ этого сотрудника уже восстанавливают: вот как обстоит дело."), 409)


def _own(id: str) -> Person:
    """Somebody whom this administrator may help: never an administrator. Others are noted."""
    found, mine = account.find(id), access.me()
    is_own = found and found.is_operational and set(found.organisations) & set(mine.organisations)
    if found is None or not is_own:
        db.begin(writes=True)
        journal.record(
            mine.chain, "access.refused", mine.id, g.address, endpoint=request.endpoint or ""
        )
        db.commit()
        abort(404)
    return _person(found)


def _person(found: Account) -> Person:
    case = recovery.open_case_of(found)
    factor = Factor.READY
    if not device.has_device(found.id):
        factor = Factor.MISSING
    elif case and not case.is_administrators:
        factor = Factor.WITH_SUPPORT
    elif case:
        factor = Factor.ASKED_FOR if case.standing is Standing.ROUTED else Factor.SENT
    return Person(found, factor, case)


def _people(organisation_id: str) -> list[Person]:
    """Who asks for help comes first."""
    people = [_person(each) for each in account.people_of(organisation_id)]
    return sorted(people, key=lambda each: each.factor is not Factor.ASKED_FOR)


def _page(notice: str = "", status: int = 200) -> Response:
    groups = [(organisation.find(id), _people(id)) for id in access.me().organisations]
    return respond(
        "people/page.html",
        status=status,
        groups=groups,
        notice=notice,
        done=request.args.get("done", ""),
        refused=request.args.get("refused", ""),
        withdrawn=request.args.get("withdrawn", ""),
        me=access.me(),
    )


def _reset_page(person: Person, error: str = "", status: int = 200) -> Response:
    return respond("people/reset.html", status=status, person=person, error=error)
