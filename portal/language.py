"""In which language a page speaks, and how it writes moments.

Texts stand in the code and the templates in Russian, so for Russian nothing is looked up.
English is Flask-Babel's. Templates have their texts in their places (portal/templating.py).
"""

import re
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import lru_cache

import flask_babel
from flask import Flask
from markupsafe import Markup

from portal import clock

DEFAULT = "ru"
LANGUAGES = {"ru": "Русский", "en": "English"}

# Blanks where a line must not break: before a dash, after a word of one letter, between a number
# and what it counts, inside a phone number. Texts are written with plain blanks.
TIES = re.compile(
    r" (?=[—–] |мск\b)|(?<=\b[АВИКОСУавикосу]) |(?<=\d) (?=[^\W\d])|(?<=\+7) |(?<=\+7 \d{3}) "
)

_chosen: ContextVar[str] = ContextVar("language", default=DEFAULT)


def choose(code: str | None) -> None:
    """Speak that language in this thread; Russian where it is none of ours, and in letters."""
    _chosen.set(code if code in LANGUAGES else DEFAULT)


def chosen() -> str:
    return _chosen.get()


def gettext(text: str, **values: object) -> str:
    """A text in the chosen language, with values put in their places.

    Markup among the values makes the result Markup, with all else in it escaped.
    """
    return _filled(_translated(text), values)


def page_text(text: str, **values: object) -> str:
    """The same for a page, whose lines break nowhere ugly."""
    said = _filled(tied(_translated(text)), values)
    return said if isinstance(said, Markup) or not values else _tie(said)


@lru_cache(maxsize=1000)
def tied(text: str) -> str:
    """Plain text with its TIES made non-breaking."""
    return _tie(text)


def _tie(text: str) -> str:
    return TIES.sub("\N{NO-BREAK SPACE}", text)


def _translated(text: str) -> str:
    return text if _chosen.get() == DEFAULT else flask_babel.gettext(text)


def _filled(text: str, values: dict[str, object]) -> str:
    if not values:
        return text
    if any(isinstance(value, Markup) for value in values.values()):
        return Markup(text) % values  # noqa: S704 - the texts are our own
    return text % values


def mark(text: str) -> str:
    """Note for the catalogue a text that is looked up later."""
    return text


mark("рабочие дни, 8:00–18:00 мск")  # PORTAL_SUPPORT_HOURS: config, above us, cannot mark it


def moment(at: datetime | str) -> str:
    """A moment as people in Moscow write it: 21.11.2026 в 14:02 мск."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    local = at.astimezone(clock.MOSCOW)
    return gettext("%(date)s в %(time)s мск", date=f"{local:%d.%m.%Y}", time=f"{local:%H:%M}")


def duration(span: timedelta) -> str:
    """A span as a clock shows it: 4:32."""
    seconds = max(0, round(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def init_app(app: Flask) -> None:
    flask_babel.Babel(app, default_locale=DEFAULT, locale_selector=chosen)
    app.jinja_env.filters.update(moment=moment, duration=duration, tied=tied)
    # In place of Jinja's own gettext, which wraps every text anew.
    app.jinja_env.globals.update(_=page_text, languages=LANGUAGES, chosen_language=chosen)
