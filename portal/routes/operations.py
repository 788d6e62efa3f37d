"""Where operational users begin: what their role has to do, or why it is closed.

The operational part itself belongs to others. Its address is a setting, to which the name of the
function is added: `PORTAL_OPERATIONS_URL` and `/orders` or `/packages`.
"""

from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, block, config, organisation
from portal.account import OPERATIONAL
from portal.block import FUNCTION_NAMES, FUNCTIONS, Reminded, Waits
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.organisation import STATUS_NAMES, Organisation
from portal.pages import respond, retry_after, stale
from portal.version import version_of

bp = Blueprint("operations", __name__, url_prefix="/operations")
bp.before_request(access.only(*sorted(OPERATIONAL)))


class Way(NamedTuple):
    """A link to a function; without a link where nobody set the address."""

    name: str
    url: str


@bp.get("")
def page() -> ResponseReturnValue:
    found = _own()
    seen = _version(found, block.may_remind_at(found.id), block.waits_for(found))
    if request.args.get("seen") == seen:
        return "", 204
    return _page(found)


@bp.post("/remind")
def remind() -> ResponseReturnValue:
    found = _own()
    if not is_own_form():
        return _page(found, stale(), 422)
    reminded = block.remind(found, access.me(), g.address)
    db.commit()
    if reminded is Reminded.NOT_NOW:
        return _page(found, _("Напоминать больше не о чем: вот как обстоит дело."), 409)
    if reminded is Reminded.TOO_SOON:
        said = _("Администратору уже напомнили. Чаще раза в сутки напоминать нельзя.")
        again = block.may_remind_at(found.id)
        response = _page(found, said, 429)
        return retry_after(response, again) if again else response
    return redirect(url_for(".page"), 303)


def _own() -> Organisation:
    """The one organisation of who is signed in."""
    found = organisation.find(access.me().organisations[0])
    assert found, "an operational user has an organisation"
    return found


def _version(found: Organisation, again_at: datetime | None, waits: Waits | None) -> str:
    """A short word that changes whenever the page would read differently."""
    return version_of(found.status, found.status_since, again_at, waits)


def _page(found: Organisation, notice: str = "", status: int = 200) -> Response:
    again_at, waits = block.may_remind_at(found.id), block.waits_for(found)
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
        administrators=[] if found.is_open else account.administrators_of(found.id),
        is_theirs=found.is_administrators_turn,
        waits=waits,
        again_at=again_at,
        reminded_at=again_at and again_at - block.A_DAY,
        version=_version(found, again_at, waits),
        notice=notice,
    )
