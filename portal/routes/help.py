"""«Помощь»: a page for each audience, with pictures of the portal's own pages.

Open to everybody, as the front door is: who is outside the secure channel or cannot sign in needs
it most. It says nothing of anybody.
"""

import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

from flask import Blueprint, abort, g, request
from flask.typing import ResponseReturnValue

from portal.account import OPERATIONAL, Role
from portal.language import mark
from portal.organisation import STATUS_NAMES
from portal.pages import respond, static_url

PREFIX = "/help"
bp = Blueprint("help", __name__, url_prefix=PREFIX)

PICTURES = Path(__file__).parents[1] / "static" / "help"
SIZE_OF_PNG = slice(16, 24)  # where a PNG says how wide and high it is


class Guide(NamedTuple):
    """A page of help: its heading, and what a person finds there."""

    title: str
    about: str


GUIDES = {
    "responsible": Guide(
        mark("Ответственному лицу"),
        mark("Вам пришло письмо «Подтверждение данных»: как подтвердить телефон и email."),
    ),
    "administrator": Guide(
        mark("Администратору"),
        mark("Как запросить подтверждение, изменить реквизиты, отправить организацию на проверку."),
    ),
    "operations": Guide(
        mark("Сотруднику: операционная часть"),
        mark("Как войти и работать, и что делать, если операционная часть закрыта."),
    ),
    "specialist": Guide(
        mark("Специалисту поддержки"),
        mark("Как проверять организации, отвечать на звонки и восстанавливать доступ."),
    ),
    "lost-device": Guide(
        mark("Потеряли устройство"),
        mark("Нет телефона с приложением или ключа доступа: как войти и что будет дальше."),
    ),
}
FOR_ROLE = {
    Role.ADMINISTRATOR: "administrator",
    Role.SPECIALIST: "specialist",
    **dict.fromkeys(OPERATIONAL, "operations"),
}


class Picture(NamedTuple):
    """Where a picture is, and how large: its place is kept before it has come."""

    url: str
    width: int
    height: int


@bp.get("")
def page() -> ResponseReturnValue:
    return respond("help/page.html", guides=GUIDES)


@bp.get("/<audience>")
def guide(audience: str) -> ResponseReturnValue:
    if audience not in GUIDES:
        abort(404)
    return respond(
        f"help/{audience.replace('-', '_')}.html",
        guide=GUIDES[audience],
        picture_of=picture_of,
        status_names=STATUS_NAMES,
    )


@bp.app_template_global()
def help_address() -> str:
    """Where «Помощь» leads from this page: to what is for who is here.

    It asks no database, for the page that says it is down has the link, too. Outside the networks
    of staff nobody has a role here, so all pages stay alike there.
    """
    is_responsible = request.blueprint == "confirm"
    audience = "responsible" if is_responsible else FOR_ROLE.get(g.get("role"))
    return f"{PREFIX}/{audience}" if audience else PREFIX


@cache
def picture_of(name: str) -> Picture:
    """A picture by its name in portal/static/help, which tests/pictures.py wrote."""
    head = (PICTURES / f"{name}.png").read_bytes()[SIZE_OF_PNG]
    return Picture(static_url(f"help/{name}.png"), *struct.unpack(">II", head))
