"""Every letter and SMS that left, where the portal runs on embedded parts."""

import re
import zlib
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from portal import config, networks
from portal.database import LARGEST, db
from portal.gateways.inbox import NEWEST, ONE
from portal.pages import respond, static_url

bp = Blueprint("inbox", __name__, url_prefix="/inbox")

ID = f"<int(max={LARGEST}):id>"
STYLED = re.compile(r' style="([^"]*)"')


@bp.before_request
def only_from_the_secure_networks() -> None:
    """And only by a name of this computer: another site may have its own name lead here."""
    inside = networks.is_inside(g.address, config.settings.secure_networks)
    if not inside or not _is_this_computer(request.host):
        abort(404)


@bp.get("")
def messages() -> ResponseReturnValue:
    return respond("inbox/messages.html", "inbox/_messages.html", messages=db.all(NEWEST))


@bp.get(f"/{ID}")
def message(id: int) -> ResponseReturnValue:
    found = db.one(ONE, id=id) or abort(404)
    return respond("inbox/message.html", message=found)


@bp.get(f"/{ID}/letter")
def letter(id: int) -> ResponseReturnValue:
    """The letter as a mail program shows it."""
    found = db.one(ONE, id=id) or abort(404)
    sheet = f'<link rel="stylesheet" href="{url_for(".letter_styles", id=id)}">'
    icon = f'<link rel="icon" href="{static_url("icon.svg")}">'
    html = STYLED.sub(lambda styled: f' class="{_class(styled[1])}"', found.html)
    return Response(html.replace("</head>", f"{sheet}{icon}</head>"), mimetype="text/html")


@bp.get(f"/{ID}/letter.css")
def letter_styles(id: int) -> ResponseReturnValue:
    """The letter's styles: it carries them inline, which our policy forbids to every page."""
    found = db.one(ONE, id=id) or abort(404)
    rules = {f".{_class(style)} {{{style}}}" for style in STYLED.findall(found.html)}
    return Response("\n".join(sorted(rules)), mimetype="text/css")


def _is_this_computer(host: str) -> bool:
    try:
        return config.is_loopback(urlsplit(f"//{host}").hostname)
    except ValueError:
        return False


def _class(style: str) -> str:
    return f"s{zlib.crc32(style.encode()):08x}"
