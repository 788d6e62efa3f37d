"""Every letter and SMS that left, where the portal runs on embedded parts."""

from flask import Blueprint, Response, abort, g
from flask.typing import ResponseReturnValue

from portal import config, networks
from portal.database import db
from portal.gateways.inbox import NEWEST, ONE
from portal.pages import respond

bp = Blueprint("inbox", __name__, url_prefix="/inbox")


@bp.before_request
def only_from_the_secure_networks() -> None:
    if not networks.is_inside(g.address, config.settings.secure_networks):
        abort(404)


@bp.get("")
def messages() -> ResponseReturnValue:
    return respond("inbox/messages.html", "inbox/_messages.html", messages=db.all(NEWEST))


@bp.get("/<int:id>")
def message(id: int) -> ResponseReturnValue:
    found = db.one(ONE, id=id) or abort(404)
    return respond("inbox/message.html", message=found)


@bp.get("/<int:id>/letter")
def letter(id: int) -> ResponseReturnValue:
    """The letter as a mail program shows it; its links open in the whole window."""
    found = db.one(ONE, id=id) or abort(404)
    return Response(found.html, mimetype="text/html")
