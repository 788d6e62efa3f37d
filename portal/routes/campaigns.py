"""Many at once: an administrator asks many organisations to confirm.

Whom, is chosen in one of four ways; then a draft says who gets a letter and who not, and why; and
nothing leaves before it is started. The worker does the rest (`campaign.continue_due`).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from portal import access, campaign, importing, language, organisation
from portal.account import Role
from portal.campaign import BATCH, Campaign, Item, Line, Outcome, Started, Way
from portal.clock import MOSCOW
from portal.cookie import is_own_form
from portal.database import LARGEST, db
from portal.exporting import csv_response
from portal.importing import Refusal, UnreadableFileError
from portal.language import gettext as _
from portal.language import mark
from portal.organisation import Status
from portal.outbox import State as LetterState
from portal.pages import respond, retry_after, sorry, stale

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")
bp.before_request(access.only(Role.ADMINISTRATOR))

ON_A_PAGE = 50
MOST_LINES = 100_000  # of a file
BETWEEN = re.compile(r"[\s,;]+")  # IDs that are typed or pasted
MEGABYTES = access.LONGEST_UPLOAD // 1024 // 1024
EXPORTED_AT_ONCE = 500
LETTERS = {
    LetterState.WAITING: mark("отправляем"),
    LetterState.TROUBLED: mark("пока не доставлено, пробуем снова"),
    LetterState.DELIVERED: mark("передано почтовому серверу"),
    LetterState.FAILED: mark("не доставлено"),
}
FIELDS = {Way.FOUND: "typed", Way.TYPED: "list", Way.FILE: "file", Way.PICKED: "ids"}
NOBODY = {
    Way.FOUND: mark("По этим условиям ничего не нашлось. Измените их."),
    Way.TYPED: mark("Впишите хотя бы один ID."),
    Way.FILE: mark("Выберите файл, в котором есть хотя бы один ID."),
    Way.PICKED: mark("Отметьте в списке хотя бы одну организацию."),
}


# Whom


@bp.get("")
def page() -> ResponseReturnValue:
    before = _own(request.args["before"]) if "before" in request.args else None
    listed = campaign.campaigns_of(access.me().id, before, most=ON_A_PAGE + 1)
    shown = listed[:ON_A_PAGE]
    return respond(
        "campaigns/page.html",
        listed=shown,
        before=before,
        next=shown[-1].id if len(listed) > ON_A_PAGE else "",
        states=campaign.STATE_NAMES,
    )


@bp.get("/new")
def new() -> ResponseReturnValue:
    return _choose()


@bp.post("")
def make() -> ResponseReturnValue:
    """Read whom an administrator chose, and judge them; nothing is sent yet."""
    way = Way(request.form["way"]) if request.form.get("way") in set(Way) else Way.PICKED
    if not is_own_form():
        again = _("Страница устарела, и мы её обновили. Выберите файл ещё раз.")
        return _choose(again if way is Way.FILE else stale(), "", 422)
    db.commit()  # a long list is kept bit by bit: nobody waits for all of it
    with TemporaryDirectory() as folder:
        try:
            made = _keep(way, _chosen(way, Path(folder) / "list.csv"))
        except UnreadableFileError as error:
            return _choose(str(error), FIELDS[way], 422)
    if made:
        return redirect(url_for(".campaign_page", id=made.id), 303)
    until = campaign.may_begin_at(access.me())
    if until is None:
        return _choose(_(NOBODY[way]), FIELDS[way], 422)
    words = _(
        "За последнее время выбрано слишком много списков. Следующий можно выбрать %(moment)s.",
        moment=language.moment(until),
    )
    return retry_after(_choose(words, "", 429), until)


@bp.errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    return sorry(
        413,
        _("Слишком много данных"),
        _(
            "В файле может быть не больше %(size)s МБ. Разделите его и отправьте по частям.",
            size=MEGABYTES,
        ),
    )


def _chosen(way: Way, path: Path) -> Iterator[Line]:
    """The lines of what was chosen; raises UnreadableFileError."""
    if way is Way.FOUND:
        return _found(request.form.get("typed", ""), request.form.get("status", ""))
    if way is Way.TYPED:
        typed = [text for text in BETWEEN.split(request.form.get("list", "")) if text]
        _must_be_few(len(typed))
        return _numbered(typed)
    if way is Way.PICKED:
        return _numbered(request.form.getlist("ids"))
    file = request.files.get("file")
    if file is None:
        return iter(())
    file.save(path)
    _must_be_few(importing.count_lines(path) - 1)
    return _in_file(path)


def _must_be_few(lines: int) -> None:
    if lines > MOST_LINES:
        words = _("Больше %(count)s строк. Разделите их.", count=MOST_LINES)
        raise UnreadableFileError(words)


def _found(typed: str, status: str) -> Iterator[Line]:
    place, after = 0, ""
    wanted = Status(status) if status in set(Status) else None
    while some := organisation.search(typed, wanted, of=access.me().id, after=after, most=BATCH):
        after = some[-1].id
        for each in some:
            place += 1
            yield Line(place, each.id)


def _numbered(texts: Iterable[str]) -> Iterator[Line]:
    for place, text in enumerate(texts, 1):
        if text.strip():
            yield Line(place, text.strip())


def _in_file(path: Path) -> Iterator[Line]:
    for row in importing.read_column(path, "id"):
        yield Line(row.line, None if isinstance(row, Refusal) else row.values["id"].strip())


def _keep(way: Way, lines: Iterator[Line]) -> Campaign | None:
    """Keep the lines, some at a time; None if there is none, or no list may begin now."""
    id = None
    for some in _batches(lines):
        id = _add(id, way, some)
        if id is None:
            return None
    return _offer(id) if id else None


@db.again
def _add(id: str | None, way: Way, some: list[Line]) -> str | None:
    """Keep some lines of a list, the first of which begin it; returns its id."""
    with db.writing():
        id = id or campaign.begin(access.me(), way)
        if id:
            campaign.add(id, access.me(), some)
            db.commit()
    return id


@db.again
def _offer(id: str) -> Campaign:
    with db.writing():
        made = campaign.offer(id)
        db.commit()
    return made


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _choose(error: str = "", where: str = "", status: int = 200) -> Response:
    """The page of the ways; `where` is the field that is wrong, if one is."""
    typed = request.form if request.method == "POST" else request.args
    return respond(
        "campaigns/new.html",
        status=status,
        error=error,
        where=where,
        typed=typed,
        statuses=organisation.STATUS_NAMES,
        most_lines=MOST_LINES,
    )


# One campaign


class Lines(NamedTuple):
    """The lines of a campaign that its page shows."""

    outcome: Outcome
    after: int
    items: list[Item]
    next: int  # 0: these are the last

    @property
    def under_way(self) -> list[LetterState]:
        """The letters that the page still says something new about."""
        states = {LetterState.WAITING, LetterState.TROUBLED}
        return [each.letter for each in self.items if each.letter in states]

    def version_of(self, found: Campaign) -> str:
        """A short word that changes whenever the page would read differently."""
        letters = self.under_way
        return f"{found.version}-{len(letters)}-{letters.count(LetterState.TROUBLED)}"


@bp.get("/<id>")
def campaign_page(id: str) -> ResponseReturnValue:
    found = _own(id)
    lines = _lines(found)
    if request.args.get("seen") == lines.version_of(found):
        return "", 204
    return _page(found, lines)


@bp.post("/<id>/start")
def start(id: str) -> ResponseReturnValue:
    found = _of_form(id)
    said = campaign.start(found, g.address, renews="renews" in request.form)
    if said is Started.EMPTY:
        sentence = _(
            "Письмо не получит никто. Если спросить нужно и тех, у кого запрос уже открыт, "
            "отметьте это."
        )
        return _page(found, error=sentence, status=409)
    return _moved(found, is_moved=said is Started.STARTED)


@bp.post("/<id>/pause")
def pause(id: str) -> ResponseReturnValue:
    found = _of_form(id)
    return _moved(found, is_moved=campaign.pause(found, g.address))


@bp.post("/<id>/resume")
def resume(id: str) -> ResponseReturnValue:
    found = _of_form(id)
    return _moved(found, is_moved=campaign.resume(found, g.address))


@bp.post("/<id>/cancel")
def cancel(id: str) -> ResponseReturnValue:
    found = _of_form(id)
    return _moved(found, is_moved=campaign.cancel(found, g.address))


@bp.get("/<id>/outcome.csv")
def export(id: str) -> ResponseReturnValue:
    """What came of every line, as it is now."""
    found = _own(id)
    header = ("ID", _("Организация"), _("Что вышло"), _("Когда"), _("Письмо"), _("Строка"))
    name = f"zaprosy-{found.made_at.astimezone(MOSCOW):%Y-%m-%d}.csv"
    return csv_response(name, header, _rows(found))


def _rows(found: Campaign) -> Iterator[tuple[object, ...]]:
    after = 0
    while some := campaign.items(found, after=after, most=EXPORTED_AT_ONCE):
        after = some[-1].place
        for each in some:
            yield (
                each.id,
                each.short_name,
                _(found.name_of(each.outcome)),
                language.moment(each.at) if each.at else "",
                _(LETTERS[each.letter]) if each.letter else "",
                each.place,
            )


def _moved(found: Campaign, *, is_moved: bool) -> ResponseReturnValue:
    """The way back to the page after a move, or what is true now."""
    if not is_moved:
        error = _("Этого уже не сделать: вот как обстоит дело.")
        return _page(found, error=error, status=409)
    db.commit()
    return redirect(url_for(".campaign_page", id=found.id), 303)


def _own(id: str) -> Campaign:
    """A campaign of this administrator. What is another's is not there, and noted."""
    found = campaign.find(id)
    if found is None or found.account_id != access.me().id:
        access.note_refusal()
        abort(404)
    return found


def _of_form(id: str) -> Campaign:
    """The campaign that a form is about; an old form is answered at once."""
    found = _own(id)
    if not is_own_form():
        abort(_page(found, error=stale(), status=422))
    return found


def _lines(found: Campaign) -> Lines:
    """What of its lines is asked for; else those that get a letter, or the first there are."""
    wanted = request.args.get("outcome", "")
    usual = Outcome.SENT if found.started_at else Outcome.WAITING
    if not found.letters:
        counts = campaign.counts(found)
        usual = next((each for each in Outcome if each in counts), usual)
    shown = Outcome(wanted) if wanted in set(Outcome) else usual
    after = min(max(request.args.get("after", 0, type=int), 0), LARGEST)
    items = campaign.items(found, shown, after, most=ON_A_PAGE + 1)
    following = items[ON_A_PAGE - 1].place if len(items) > ON_A_PAGE else 0
    return Lines(shown, after, items[:ON_A_PAGE], following)


def _page(
    found: Campaign, lines: Lines | None = None, *, error: str = "", status: int = 200
) -> Response:
    lines = lines or _lines(found)
    counts = campaign.counts(found)
    return respond(
        "campaigns/campaign.html",
        "campaigns/_campaign.html",
        status=status,
        campaign=found,
        ends_at=campaign.ends_at(found),
        counts=counts,
        outcomes=[each for each in Outcome if each in counts],
        lines=lines,
        states=campaign.STATE_NAMES,
        letters=LETTERS,
        error=error,
    )
