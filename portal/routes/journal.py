"""The journal on pages and as files: an organisation's, one's own, an operational user's.

product.md's «People»: an organisation's for its administrators and the specialists, an operational
user's for their administrators, one's own for everybody.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, clock, history
from portal import organisation as organisations
from portal.account import Account, Role
from portal.clock import MOSCOW
from portal.exporting import csv_response
from portal.history import Kind, Told
from portal.language import gettext as _
from portal.pages import respond

bp = Blueprint("journal", __name__)
bp.before_request(access.only())

ON_A_PAGE = 50
YEARS = range(2000, 2100)  # of days that one may ask for
ISO_DAY = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
TYPED_DAY = re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})")


class Chosen(NamedTuple):
    """What of a journal is wanted."""

    kind: Kind | None
    since: date | None
    until: date | None  # that day still is
    before: str  # the place where the page before this one ended
    faults: dict[str, str]  # by the names of fields

    @property
    def bounds(self) -> dict[str, object]:
        """The same for `history`, in moments; a day is one of Moscow's."""
        after = self.until + timedelta(days=1) if self.until else None
        return {
            "kind": self.kind,
            "since": _midnight(self.since) if self.since else None,
            "until": _midnight(after) if after else None,
        }

    @property
    def query(self) -> dict[str, str]:
        """The same for an address."""
        query = {"kind": self.kind, "since": self.since, "until": self.until}
        return {name: str(value) for name, value in query.items() if value}


class Journal(NamedTuple):
    """Whose journal is shown, and what is said of it."""

    read: Callable[..., list[Told]]
    owner: str
    kinds: tuple[Kind, ...]
    title: str
    of: str
    page: str  # its address, and that of the file
    file: str
    back: tuple[str, str]  # address and words of a link
    section: str  # of the menu


@bp.get("/journal")
def page() -> ResponseReturnValue:
    return _page(_mine())


@bp.get("/journal.csv")
def export() -> ResponseReturnValue:
    return _export(_mine())


@bp.get("/organisations/<id>/journal")
def organisation(id: str) -> ResponseReturnValue:
    return _refusal(Role.ADMINISTRATOR, Role.SPECIALIST) or _page(_of_organisation(id))


@bp.get("/organisations/<id>/journal.csv")
def export_organisation(id: str) -> ResponseReturnValue:
    return _refusal(Role.ADMINISTRATOR, Role.SPECIALIST) or _export(_of_organisation(id))


@bp.get("/people/<id>/journal")
def person(id: str) -> ResponseReturnValue:
    return _refusal(Role.ADMINISTRATOR) or _page(_of_person(id))


@bp.get("/people/<id>/journal.csv")
def export_person(id: str) -> ResponseReturnValue:
    return _refusal(Role.ADMINISTRATOR) or _export(_of_person(id))


def _refusal(*roles: Role) -> Response | None:
    """What is said to who has none of the roles."""
    return None if access.me().role in roles else access.refuse()


def _mine() -> Journal:
    return _of_account(
        access.me(),
        _("Мой журнал"),
        url_for(".page"),
        url_for(".export"),
        (url_for("devices.page"), _("Мои устройства")),
        "devices.page",
    )


def _of_person(id: str) -> Journal:
    """An operational user's, for who may reset their second factor; others are noted."""
    found = account.find(id)
    if found is None or not account.administers(access.me(), found):
        access.note_refusal()
        abort(404)
    return _of_account(
        found,
        _("Журнал сотрудника"),
        url_for(".person", id=id),
        url_for(".export_person", id=id),
        (url_for("people.page", organisation=found.organisations[0]), _("Сотрудники")),
        "people.page",
    )


def _of_account(
    of: Account, title: str, page: str, file: str, back: tuple[str, str], section: str
) -> Journal:
    name, kinds = of.called, history.ACCOUNT_KINDS
    return Journal(history.of_account, of.id, kinds, title, name, page, file, back, section)


def _of_organisation(id: str) -> Journal:
    """An organisation's, for its administrators and any specialist; others are noted."""
    found, me = organisations.find(id), access.me()
    if found is None or not (me.role is Role.SPECIALIST or account.is_of(me, id)):
        access.note_refusal()
        abort(404)
    is_own = me.role is Role.ADMINISTRATOR
    endpoint = "organisations.organisation" if is_own else "verifications.organisation_page"
    name = found.details.short_name
    return Journal(
        history.of_organisation,
        id,
        history.ORGANISATION_KINDS,
        _("Журнал организации"),
        f"{name} · {id}",
        url_for(".organisation", id=id),
        url_for(".export_organisation", id=id),
        (url_for(endpoint, id=id), name),
        "organisations.page" if is_own else "verifications.organisations",
    )


def _page(shown: Journal) -> Response:
    chosen = _chosen(shown)
    told: list[Told] = []
    if not chosen.faults:
        told = shown.read(
            shown.owner, most=ON_A_PAGE + 1, before=chosen.before or None, **chosen.bounds
        )
    has_more, told = len(told) > ON_A_PAGE, told[:ON_A_PAGE]
    return respond(
        "journal/page.html",
        status=422 if chosen.faults else 200,
        shown=shown,
        chosen=chosen,
        typed=request.args,
        told=told,
        kinds=history.KIND_NAMES,
        file=_address(shown.file, chosen.query),
        first=_address(shown.page, chosen.query) if chosen.before else "",
        next=_address(shown.page, chosen.query | {"before": told[-1].place}) if has_more else "",
    )


def _export(shown: Journal) -> Response:
    chosen = _chosen(shown)
    if chosen.faults:
        return _page(shown)
    told = history.whole(shown.read, shown.owner, **chosen.bounds)
    header = (
        _("Когда (мск)"),
        _("Что произошло"),
        _("Кто"),
        _("IP-адрес"),
        _("Номер в журнале"),
    )
    name = f"journal-{shown.owner}-{clock.now().astimezone(MOSCOW):%Y-%m-%d}.csv"
    return csv_response(name, header, map(_row, told))


def _row(line: Told) -> tuple[object, ...]:
    said = ": ".join(filter(None, (line.sentence, "; ".join(line.more))))
    moment = f"{line.at.astimezone(MOSCOW):%d.%m.%Y %H:%M:%S}"
    return moment, said, line.who, line.address, line.number


def _chosen(shown: Journal) -> Chosen:
    """What the address asks for. What no form of ours says is not found."""
    kind, before = request.args.get("kind", ""), request.args.get("before", "")
    if (kind and kind not in shown.kinds) or (before and not history.is_place(before)):
        abort(404)
    days: dict[str, date | None] = {}
    faults = {}
    for name in ("since", "until"):
        try:
            days[name] = _day(request.args.get(name, ""))
        except ValueError:
            days[name] = None
            faults[name] = _("Такого дня нет. Пишите день, месяц и год: 21.11.2026.")
    since, until = days["since"], days["until"]
    if since and until and until < since:
        faults["until"] = _("Этот день раньше первого. Поменяйте их местами.")
    return Chosen(Kind(kind) if kind else None, since, until, before, faults)


def _day(typed: str) -> date | None:
    """A day as a browser or a person writes it; raises ValueError for anything else."""
    typed = typed.strip()
    if not typed:
        return None
    found = ISO_DAY.fullmatch(typed) or TYPED_DAY.fullmatch(typed)
    if found is None:
        raise ValueError(typed)
    day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    if day.year not in YEARS:
        raise ValueError(typed)
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), MOSCOW)


def _address(address: str, query: dict[str, str]) -> str:
    return f"{address}?{urlencode(query)}" if query else address
