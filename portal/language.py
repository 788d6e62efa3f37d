"""In which language a page speaks, and how it writes moments.

Texts stand in the code and the templates in Russian, so for Russian nothing is looked up: that
keeps some sixty look-ups off every page (docs/decisions.md). English is Flask-Babel's.
"""

from contextvars import ContextVar
from datetime import datetime, timedelta

import flask_babel
from flask import Flask
from markupsafe import Markup

from portal import clock

DEFAULT = "ru"
LANGUAGES = {"ru": "Русский", "en": "English"}

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
    if _chosen.get() != DEFAULT:
        text = flask_babel.gettext(text)
    if not values:
        return text
    if any(isinstance(value, Markup) for value in values.values()):
        return Markup(text) % values  # noqa: S704 - the texts are our own
    return text % values


def mark(text: str) -> str:
    """Note for the catalogue a text that is looked up later."""
    return text


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
    app.jinja_env.filters.update(moment=moment, duration=duration)
    # In place of Jinja's own gettext, which wraps every text anew.
    app.jinja_env.globals.update(_=gettext, languages=LANGUAGES, chosen_language=chosen)
