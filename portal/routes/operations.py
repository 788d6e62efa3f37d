"""Where operational users begin: what their role has to do, or why it is closed.

The operational part itself belongs to others. Its address is a setting, to which the name of the
function is added: `PORTAL_OPERATIONS_URL` and `/orders` or `/packages`.
"""

from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, block, config, organisation
from portal.account import OPERATIONAL, Account
from portal.block import FUNCTION_NAMES, FUNCTIONS, Reminded, Waits
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.organisation import STATUS_NAMES, Organisation
from portal.pages import respond, retry_after, stale
from portal.version import version_of

bp = Blueprint("operations", __name__, url_prefix="/operations")
bp.before_request(access.only(*sorted(OPERATIONAL)))


class View(NamedTuple):
    """What the page says of the organisation."""

    organisation: Organisation
    administrators: list[Account]  # whom to ask, where it is closed
    again_at: datetime | None
    waits: Waits | None

    @property
    def version(self) -> str:
        """A short word that changes whenever the page would read differently."""
        found = self.organisation
        named = [(each.name, each.email) for each in self.administrators]
        said = (found.details.short_name, found.administrator_email, found.status)
        return version_of(*said, found.status_since, *named, self.again_at, self.waits)


class Way(NamedTuple):
    """A link to a function; without a link where nobody set the address."""

    name: str
    url: str


@bp.get("")
def page() -> ResponseReturnValue:
    view = _view(_own())
    if request.args.get("seen") == view.version:
        return "", 204
    return _page(view)


@bp.post("/remind")
def remind() -> ResponseReturnValue:
    found = _own()
    if not is_own_form():
        return _page(_view(found), stale(), 422)
    reminded = block.remind(found, access.me(), g.address)
    db.commit()
    if reminded is Reminded.NOT_NOW:
        return _page(_view(found), _("Напоминать больше не о чем: вот как обстоит дело."), 409)
    if reminded is Reminded.TOO_SOON:
        said = _("Администратору уже напомнили. Чаще раза в сутки напоминать нельзя.")
        view = _view(found)
        response = _page(view, said, 429)
        return retry_after(response, view.again_at) if view.again_at else response
    return redirect(url_for(".page"), 303)


def _own() -> Organisation:
    """The one organisation of who is signed in."""
    found = organisation.find(access.me().organisations[0])
    assert found, "an operational user has an organisation"
    return found


def _view(found: Organisation) -> View:
    return View(
        organisation=found,
        administrators=[] if found.is_open else account.administrators_of(found.id),
        again_at=block.may_remind_at(found.id),
        waits=block.waits_for(found),
    )


def _page(view: View, notice: str = "", status: int = 200) -> Response:
    found, again_at = view.organisation, view.again_at
    url = config.settings.operations_url
    ways = [
        Way(FUNCTION_NAMES[each], f"{url}/{each}" if url else "")
        for each in FUNCTIONS[access.me().role]
    ]
    return respond(
        "operations/page.html",
        "operations/_operations.html",
        status=status,
        organisation=found,
        status_name=STATUS_NAMES[found.status],
        ways=ways,
        has_address=bool(url),
        administrators=view.administrators,
        is_theirs=found.is_administrators_turn,
        waits=view.waits,
        again_at=again_at,
        reminded_at=again_at and again_at - block.A_DAY,
        version=view.version,
        notice=notice,
    )
