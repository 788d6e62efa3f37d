"""«Диагностика компьютера»: what the portal sees of a computer, and a number for it.

Any address may open it: whose channel is broken must see what is wrong. It says nothing but what
the computer itself is.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, agents, clock, config, diagnostics, language, networks, recovery
from portal.cookie import is_own_form
from portal.database import db
from portal.diagnostics import Diagnostics
from portal.language import gettext as _
from portal.networks import Address
from portal.pages import htmx, respond, retry_after, sorry

bp = Blueprint("diagnostics", __name__, url_prefix="/diagnostics")

MOST_OFF = 30  # seconds: the step of TOTP codes
MILLISECONDS = re.compile(r"-?[0-9]{1,16}")  # since 1970, as a browser's Date says it


class State(StrEnum):
    """How a check came out; the names are those of the pills."""

    GOOD = "done"
    UNKNOWN = "wait"
    BAD = "fail"


class Check(NamedTuple):
    """A line of the page: what was looked at, what was seen, and what to do about it."""

    name: str
    label: str
    seen: str
    state: State
    verdict: str
    advice: str = ""


@bp.get("")
def start() -> ResponseReturnValue:
    """Looking changes nothing; the page has the button."""
    return _start()


@bp.post("")
def begin() -> ResponseReturnValue:
    if not is_own_form():
        return _start(_stale(), 422) if request.cookies else _result(None, _no_cookies(), 422)
    wait = diagnostics.free_at(g.address)
    if wait:
        advice = _(
            "С этого адреса проверку начинали слишком часто. Её можно будет начать через %(span)s.",
            span=language.duration(wait - clock.now()),
        )
        return retry_after(sorry(429, _("Подождите немного"), advice), wait)
    agent = request.user_agent.string
    kept = diagnostics.begin(_account_id(), g.address, agent, browser_cookie())
    db.commit()
    response = redirect(url_for(".result"), 303)
    response.set_cookie(
        _cookie_name(),
        kept,
        max_age=recovery.longest(),
        secure=config.settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@bp.get("/result")
def result() -> ResponseReturnValue:
    found = diagnostics.of_browser(browser_cookie())
    return _result(found, "" if found else _none_yet())


@bp.post("/measure")
def measure() -> ResponseReturnValue:
    """The browser's scripts say what time it is there; that they do says that they run."""
    found = diagnostics.of_browser(browser_cookie())
    time = request.form.get("time", "")
    if not is_own_form() or not MILLISECONDS.fullmatch(time):
        return _result(found, _stale(), 422)
    if found is None:
        return _result(None, _none_yet(), 410)
    diagnostics.measure(found, round(int(time) / 1000 - clock.now().timestamp()))
    db.commit()
    if not htmx():
        return redirect(url_for(".result"), 303)
    return _result(diagnostics.of_browser(browser_cookie()))


def browser_cookie() -> str:
    """What the browser that asks was given when it ran the diagnostics."""
    return request.cookies.get(_cookie_name(), "")


def _cookie_name() -> str:
    return "__Host-diagnostics" if config.settings.is_https else "diagnostics"


def _account_id() -> str | None:
    """Whose password was typed in this browser, if somebody's was."""
    here = access.here()
    return here.account.id if here else None


# The pages


def _start(notice: str = "", status: int = 200) -> Response:
    return respond("diagnostics/start.html", status=status, notice=notice)


def _result(found: Diagnostics | None, notice: str = "", status: int = 200) -> Response:
    return respond(
        "diagnostics/result.html",
        "diagnostics/_checks.html",
        status=status,
        diagnostics=found,
        checks=_checks(found),
        notice=notice,
    )


def _checks(found: Diagnostics | None) -> list[Check]:
    """What the computer was like; of one that has no number yet, as much as can be seen now."""
    if found is None:
        return [_address(g.address), _browser(request.user_agent.string), _cookies()]
    return [
        _address(networks.parse(found.address)),
        _browser(found.agent),
        _cookies(),
        _scripts(found),
        _clock(found.clock_seconds),
    ]


def _address(address: Address | None) -> Check:
    is_staff, is_secure = networks.is_staff(address), networks.is_secure(address, ())
    advice = ""
    if is_secure:
        verdict = _("защищённый канал")
    else:
        verdict = _("вход разрешён") if is_staff else _("вне защищённого канала")
    if not is_staff and is_secure:
        verdict = _("вход закрыт")
        advice = _(
            "Компьютер в защищённом канале, но войти в учётную запись из этой сети нельзя. "
            "Подключитесь к сети, из которой вы обычно входите, и проверьте ещё раз."
        )
    elif not is_staff:
        advice = _(
            "Запустите С-Терра Клиент на этом компьютере, войдите в него, дождитесь соединения "
            "и проверьте ещё раз."
        )
    return Check(
        "address",
        _("IP-адрес"),
        str(address or _("не определён")),
        State.GOOD if is_staff else State.BAD,
        verdict,
        advice,
    )


def _browser(agent: str) -> Check:
    label, words = _("Браузер и система"), agents.describe(agent)
    if words:
        return Check("browser", label, words, State.GOOD, _("определены"))
    return Check(
        "browser",
        label,
        _("не определены"),
        State.UNKNOWN,
        _("неизвестный браузер"),
        _(
            "Если портал работает не так, как вы ждёте, откройте его в последней версии Chrome, "
            "Яндекс Браузера, Edge или Firefox."
        ),
    )


def _cookies() -> Check:
    label = _("Файлы cookie")
    if request.cookies:
        return Check("cookies", label, _("браузер их сохраняет"), State.GOOD, _("включены"))
    return Check(
        "cookies",
        label,
        _("портал их не получил"),
        State.BAD,
        _("не сохраняются"),
        _(
            "Без cookie войти нельзя. Разрешите их для этого сайта в настройках браузера и "
            "проверьте ещё раз."
        ),
    )


def _scripts(found: Diagnostics) -> Check:
    label = _("Скрипты")
    if found.scripts:
        return Check("scripts", label, _("работают"), State.GOOD, _("включены"))
    return Check(
        "scripts",
        label,
        _("не сработали"),
        State.UNKNOWN,
        _("выключены"),
        _(
            "Портал работает и без скриптов, но без них нельзя проверить часы и войти с ключом "
            "доступа. Разрешите этому сайту JavaScript и проверьте ещё раз."
        ),
    )


def _clock(seconds: int | None) -> Check:
    label = _("Часы")
    if seconds is None:
        seen, verdict = _("видны только скриптам"), _("не проверены")
        return Check("clock", label, seen, State.UNKNOWN, verdict)
    span = _span(abs(seconds))
    if abs(seconds) <= MOST_OFF:
        seen = _("расходятся с часами портала на %(span)s", span=span)
        if abs(seconds) < 2:  # as much as the way here takes
            seen = _("совпадают с часами портала")
        return Check("clock", label, seen, State.GOOD, _("верны"))
    ahead = seconds > 0
    return Check(
        "clock",
        label,
        _("спешат на %(span)s", span=span) if ahead else _("отстают на %(span)s", span=span),
        State.BAD,
        _("неверны"),
        _(
            "Включите в настройках системы автоматическую установку времени и проверьте ещё раз. "
            "От часов зависят коды из приложения: пока часы на устройстве с приложением неверны, "
            "портал его кодов не примет."
        ),
    )


def _span(seconds: int) -> str:
    """A span as people say it roughly: 12 мин."""
    if seconds < 2 * 60:
        return _("%(count)s с", count=seconds)
    if seconds < 2 * 3600:
        return _("%(count)s мин", count=seconds // 60)
    if seconds < 2 * 24 * 3600:
        return _("%(count)s ч", count=seconds // 3600)
    return _("%(count)s дн.", count=seconds // (24 * 3600))


def _stale() -> str:
    return _("Страница устарела, и мы её обновили. Нажмите кнопку ещё раз.")


def _no_cookies() -> str:
    return _(
        "Браузер не сохраняет cookie, а без них номера не будет. Разрешите cookie для этого сайта "
        "и начните проверку."
    )


def _none_yet() -> str:
    return _("В этом браузере проверки ещё не было, или она была давно. Начните её.")
