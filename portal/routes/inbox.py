"""Every letter and SMS that left, where the portal runs on embedded parts."""

import re
import zlib

from flask import Blueprint, Response, abort, g, url_for
from flask.typing import ResponseReturnValue

from portal import config, networks
from portal.database import db
from portal.gateways.inbox import NEWEST, ONE
from portal.pages import respond, static_url

bp = Blueprint("inbox", __name__, url_prefix="/inbox")

STYLED = re.compile(r' style="([^"]*)"')


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
    """The letter as a mail program shows it."""
    found = db.one(ONE, id=id) or abort(404)
    sheet = f'<link rel="stylesheet" href="{url_for(".letter_styles", id=id)}">'
    icon = f'<link rel="icon" href="{static_url("icon.svg")}">'
    html = STYLED.sub(lambda styled: f' class="{_class(styled[1])}"', found.html)
    return Response(html.replace("</head>", f"{sheet}{icon}</head>"), mimetype="text/html")


@bp.get("/<int:id>/letter.css")
def letter_styles(id: int) -> ResponseReturnValue:
    """The letter's styles: it carries them inline, which our policy forbids to every page."""
    found = db.one(ONE, id=id) or abort(404)
    rules = {f".{_class(style)} {{{style}}}" for style in STYLED.findall(found.html)}
    return Response("\n".join(sorted(rules)), mimetype="text/css")


def _class(style: str) -> str:
    return f"s{zlib.crc32(style.encode()):08x}"
