"""The specialist's page of letters and SMS that never left: why, what to do, and sending again.

What a message said is shown to nobody: it may be a code, a link or somebody's data.
"""

import re
from datetime import datetime

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, clock, deliveries, outbox
from portal.account import Role
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.language import mark
from portal.outbox import Failed, State
from portal.pages import respond, stale

bp = Blueprint("deliveries", __name__, url_prefix="/deliveries")
bp.before_request(access.only(Role.SPECIALIST))

ON_A_PAGE = 50
PLACE = re.compile(r"([0-9]{1,17})\.([A-Za-z0-9_-]{22})")  # a moment in microseconds, and an id
ON_ITS_WAY = mark("Сообщение уже отправляется ещё раз. Если не дойдёт, оно снова появится здесь.")
# Why a message cannot be sent again, or what came of that.
TRUE_NOW = {
    State.WAITING: ON_ITS_WAY,
    State.TROUBLED: ON_ITS_WAY,
    State.DELIVERED: mark("Сообщение уже доставлено."),
    State.FAILED: mark("Отправить ещё раз нельзя: сообщение больше не действует."),
}
SENT = {
    State.WAITING: mark(
        "Сообщение отправляется ещё раз. Если не дойдёт, оно снова появится здесь."
    ),
    State.DELIVERED: mark("Сообщение отправлено ещё раз и доставлено."),
}
SENT[State.TROUBLED] = SENT[State.WAITING]


@bp.get("")
def page() -> ResponseReturnValue:
    now = outbox.state(request.args.get("sent", ""))
    return _page(done=_(SENT[now]) if now in SENT else "")


@bp.post("/<id>/again")
def send_again(id: str) -> ResponseReturnValue:
    if not is_own_form():
        return _page(stale(), 422)
    if outbox.send_again(id, access.me().id, g.address):
        db.commit()
        return redirect(url_for(".page", sent=id, after=request.args.get("after") or None), 303)
    now = outbox.state(id)
    if now is None:
        access.note_refusal()
        abort(404)
    return _page(_(TRUE_NOW[now]), 409)


def _page(notice: str = "", status: int = 200, done: str = "") -> Response:
    after = request.args.get("after", "")
    found = outbox.failed(_place(after), most=ON_A_PAGE + 1)
    shown = found[:ON_A_PAGE]
    return respond(
        "deliveries/page.html",
        status=status,
        messages=[deliveries.tell(each) for each in shown],
        after=after,
        next=_written(shown[-1]) if len(found) > ON_A_PAGE else "",
        notice=notice,
        done=done,
    )


def _place(after: str) -> tuple[datetime, str] | None:
    """Where the list goes on; at its beginning for what is no place."""
    found = PLACE.fullmatch(after)
    return (clock.of_number(int(found[1])), found[2]) if found else None


def _written(message: Failed) -> str:
    return f"{clock.to_number(message.failed_at)}.{message.id}"
