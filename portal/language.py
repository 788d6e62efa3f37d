"""In which language a page speaks, and how it writes moments."""

from datetime import datetime, timedelta

from flask import Flask, has_request_context, request
from flask_babel import Babel
from flask_babel import gettext as _

from portal import checks, clock

DEFAULT = "ru"
LANGUAGES = {"ru": "Русский", "en": "English"}
COOKIE = "language"
LONGEST = timedelta(days=365)


def chosen() -> str:
    """The language the person chose; Russian until they do, and in letters."""
    if has_request_context():
        code = request.cookies.get(COOKIE, DEFAULT)
        if code in LANGUAGES:
            return code
    return DEFAULT


def moment(at: datetime | str) -> str:
    """A moment as people in Moscow write it: 21.11.2026 в 14:02 мск."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    local = at.astimezone(clock.MOSCOW)
    return _("%(date)s в %(time)s мск", date=f"{local:%d.%m.%Y}", time=f"{local:%H:%M}")


def duration(span: timedelta) -> str:
    """A span as a clock shows it: 4:32."""
    seconds = max(0, round(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def init_app(app: Flask) -> None:
    Babel(app, default_locale=DEFAULT, locale_selector=chosen)
    app.add_template_filter(moment)
    app.add_template_filter(duration)
    app.add_template_filter(checks.display_phone, "phone")
    app.jinja_env.globals.update(languages=LANGUAGES, chosen_language=chosen)
