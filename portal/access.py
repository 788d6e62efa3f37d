"""Who is here, and what they may do.

Flask-Login keeps the session's token in the cookie; what it opens is for its row to say
(portal/account/session.py). A blueprint says whom it is for, and nobody else passes its guard.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.exceptions import HTTPException

from portal import account, clock, journal, limits, networks, organisation
from portal.account import OPERATIONAL, Account, Role, session
from portal.account.session import Session, Stage
from portal.database import db
from portal.language import gettext as _
from portal.language import mark
from portal.limits import Limit
from portal.organisation import Organisation
from portal.pages import (
    SAFE_METHODS,
    client_address,
    htmx,
    note_refused,
    page_of_form,
    respond,
    sorry,
)
from portal.written import written

Guard = Callable[[], ResponseReturnValue | None]

CAME_FOR = "came_for"  # in the cookie: the page that somebody wanted before signing in
# Of pages that somebody may come for; an administrator's speak of one organisation.
WANTED = re.compile(r"((?:/[\w-]{1,40}){1,5})(\?organisation=[\w-]{1,40})?")
REFUSALS = (Limit(1000, timedelta(hours=24)),)  # lines of one account
CHANGES_WITH = "csrf_token"  # Flask-WTF's, renewed with every new session
A_PRESS = timedelta(seconds=10)  # who sees no answer yet presses again
STARTS = {
    Role.SPECIALIST: "verifications.queue",
    Role.ADMINISTRATOR: "organisations.page",
    **dict.fromkeys(OPERATIONAL, "operations.page"),
}
MENU = {
    "organisations.page": (mark("Организации"), {Role.ADMINISTRATOR}),
    "verifications.queue": (mark("Проверка"), {Role.SPECIALIST}),
    "verifications.organisations": (mark("Организации"), {Role.SPECIALIST}),
    "deliveries.page": (mark("Доставка"), {Role.SPECIALIST}),
    "support.cases": (mark("Восстановление доступа"), {Role.SPECIALIST}),
    "campaigns.page": (mark("Запросы списком"), {Role.ADMINISTRATOR}),
    "people.page": (mark("Сотрудники"), {Role.ADMINISTRATOR}),
    "operations.page": (mark("Операционная часть"), set(OPERATIONAL)),
    "devices.page": (mark("Мои устройства"), set(Role)),
}
# Forms with a file, and who may send it. All else stays within MAX_CONTENT_LENGTH.
UPLOADS = {"campaigns.make": frozenset({Role.ADMINISTRATOR})}
LONGEST_UPLOAD = 8 * 1024 * 1024


class Visitor(UserMixin):  # type: ignore[misc] # Flask-Login has no types
    """Somebody whose password was right; authenticated once the second factor was, too."""

    def __init__(self, found: Session, token: str) -> None:
        self.session, self.account, self._token = found, found.account, token

    def get_id(self) -> str:
        return self._token

    @property
    def is_authenticated(self) -> bool:
        return self.session.stage is Stage.FULL


class Logins(LoginManager):  # type: ignore[misc]
    """Remembers nobody: a cookie by which Flask-Login would is not ours, and is not read."""

    def _load_user_from_remember_cookie(self, _cookie: str) -> None:
        return None


def token() -> str:
    """What the cookie says to know a session by; empty if it says nothing."""
    return str(cookie.get("_user_id", ""))


def here() -> Session | None:
    """The session of this request, at whatever stage."""
    visitor = current_user._get_current_object()
    return visitor.session if isinstance(visitor, Visitor) else None


def at_stage(*stages: Stage) -> Session | None:
    """The session of this request, if it has come so far and no further."""
    found = here()
    return found if found and found.stage in stages else None


def me() -> Account:
    """Who is signed in; the guard let nobody else pass."""
    found = here()
    assert found, "the guard lets nobody pass who is not here"
    return found.account


def mine() -> Session:
    """The session of who is signed in; the guard let nobody else pass."""
    found = here()
    assert found, "the guard lets nobody pass who is not here"
    return found


def is_same_press(by: str, at: datetime) -> bool:
    """Whether what was done is what this press asks for: one's own, of the last seconds."""
    return by == me().id and clock.now() < at + A_PRESS


def agent() -> str:
    """The browser, as it names itself."""
    return request.user_agent.string


def let_in(new_token: str) -> None:
    """Put a session that has just begun into the cookie, in place of what was there."""
    found = session.find(new_token)
    assert found, "it began a moment ago"
    if session.whose(token()) not in {None, found.account.id}:
        cookie.pop(CAME_FOR, None)  # another one did, whose session ran out
    cookie.pop(CHANGES_WITH, None)
    login_user(Visitor(found, new_token))


def let_out() -> None:
    """Forget the session; what the responsible person opened in this browser stays."""
    cookie.pop(CHANGES_WITH, None)
    cookie.pop(CAME_FOR, None)
    logout_user()
    # Flask-Login would take back a cookie of its own that we never give, if somebody sends one.
    cookie.pop("_remember", None)


def start() -> str:
    """Where somebody goes after signing in: to what they came for, else to their own start."""
    came_for = cookie.pop(CAME_FOR, None)
    if came_for and _is_for_me(came_for):
        return str(came_for)
    return first_page()


def first_page() -> str:
    """Where somebody of this role begins."""
    return url_for(STARTS[me().role])


def _is_for_me(page: str) -> bool:
    """Whether a page is for this role: in the same browser somebody else may have come for it."""
    adapter = current_app.create_url_adapter(request)
    try:
        endpoint, _values = adapter.match(page.partition("?")[0], "GET") if adapter else ("", {})
    except HTTPException:
        return False
    guards = current_app.before_request_funcs.get(endpoint.partition(".")[0], ())
    return all(me().role in _roles.get(guard, Role) for guard in guards)


def only_staff_networks() -> ResponseReturnValue | None:
    """Accounts sign in from `PORTAL_STAFF_NETWORKS` only; elsewhere all pages are alike."""
    if networks.is_staff(g.address):
        return None
    note_refused("outside")
    if _is_beside_words():
        return respond("account/_meanwhile.html", status=403, outside=True)
    response = respond("account/outside.html", status=403, written=written())
    if htmx():
        response.headers["HX-Refresh"] = "true"
    return response


_roles: dict[object, tuple[Role, ...]] = {}  # whom a guard lets pass, where that is not everybody


def only(*roles: Role, stages: tuple[Stage, ...] = (Stage.FULL,)) -> Guard:
    """A guard for those of the roles (of all, if none is named) who have come so far."""

    def guard() -> ResponseReturnValue | None:
        outside = only_staff_networks()
        if outside is not None:
            return outside
        found = here()
        if found is None or found.stage not in stages:
            return _ask_to_sign_in()
        _note_use(found)
        if found.stage is Stage.FULL:
            g.role = found.account.role  # by which «Помощь» knows where to lead (routes/help.py)
        if roles and found.account.role not in roles:
            return refuse()
        return None

    if roles:
        _roles[guard] = roles
    return guard


def refuse() -> Response:
    """A page that is not for this role."""
    note_refusal()
    return sorry(
        403,
        _("Эта страница не для вашей роли"),
        _("Если она вам нужна, обратитесь к администратору организации или в поддержку."),
        way=(first_page(), _("На вашу главную страницу")),
    )


def longest_body() -> int:
    """How many bytes the request may have; asked before they are read.

    Only who is signed in may send a file: nobody else can make the portal keep much.
    """
    usual = int(current_app.config["MAX_CONTENT_LENGTH"])
    roles = UPLOADS.get(request.endpoint or "")
    if roles is None or not token() or not networks.is_staff(client_address()):
        return usual
    with db.reading():
        found = session.find(token())
    may_send = found and found.stage is Stage.FULL and found.account.role in roles
    return LONGEST_UPLOAD if may_send else usual


def _allow_upload(endpoint: str | None, _values: object) -> None:
    """Before the body is read for the first time."""
    if endpoint in UPLOADS:
        request.max_content_length = longest_body()


def own_organisation(id: str) -> Organisation:
    """One of the administrator's own organisations. Another's is not there (404), and noted."""
    found = organisation.find(id) if account.is_of(me(), id) else None
    if found is None:
        note_refusal()
        abort(404)
    return found


def note_refusal(what: str = "access.refused", **details: object) -> None:
    """Write down that somebody asked for what is not theirs; the request changes nothing else.

    Who asks on and on fills no journal.
    """
    note_refused("not theirs")
    name = f"refusals of {me().id}"
    if limits.free_at(name, REFUSALS):
        return
    db.begin(writes=True)
    limits.use(name)
    details = details or {"endpoint": request.endpoint or ""}
    journal.record(me().chain, what, me().id, g.address, **details)
    db.commit()


def needs_second_factor(back: str = "") -> ResponseReturnValue | None:
    """Ask for a second factor anew where the last one is older than 5 minutes.

    Who gives it comes `back` to that page.
    """
    if mine().is_fresh:
        return None
    if back:
        cookie[CAME_FOR] = back
    return redirect(url_for("check.page"), 303)


def _ask_to_sign_in() -> Response:
    where = url_for("account.sign_in")
    if request.method in SAFE_METHODS and not htmx():
        _come_for(request.path)
        return cast(Response, redirect(where, 303))
    note_refused("not signed in")
    if _is_beside_words():
        return respond("account/_meanwhile.html", status=401, outside=False)
    if htmx():
        ended = url_for("account.sign_in", ended="")
        return Response(status=204, headers={"HX-Redirect": ended})
    _come_for(page_of_form())
    return sorry(
        401,
        _("Вы вышли из портала"),
        _(
            "Время сеанса истекло, его завершили в другом окне, или изменились ваши права. "
            "Ничего не сделано. Войдите и повторите: мы вернём вас на ту же страницу."
        ),
        way=(where, _("Войти")),
    )


def _come_for(path: str) -> None:
    """Remember a page, and the organisation that it was about, for after the sign-in."""
    about = request.args.get("organisation")
    page = f"{path}?organisation={about}" if about else path
    if WANTED.fullmatch(page):
        cookie[CAME_FOR] = page


def _is_beside_words() -> bool:
    """Whether a window asks in which somebody writes: it must not be led away from that."""
    return (htmx().target or "").endswith("#meanwhile")


def _note_use(found: Session) -> None:
    """Polls keep no session alive: they say what they have seen."""
    if found.stage is not Stage.FULL or "seen" in request.args:
        return
    if request.method not in SAFE_METHODS:
        session.see(found)  # with the change itself: nobody ends the session in between
        return
    db.begin(writes=True, shared=True)  # a moment in one row: nobody is overtaken by that
    if session.see(found):
        db.commit()
    db.begin(writes=False)


def _menu() -> dict[str, str]:
    """The pages of who is signed in: names by endpoints that are there.

    None outside the networks that they are for, where all pages are alike.
    """
    found = at_stage(Stage.FULL) if networks.is_staff(g.address) else None
    return {
        endpoint: name
        for endpoint, (name, roles) in MENU.items()
        if found and found.account.role in roles
    }


def _load(token: str) -> Visitor | None:
    found = session.find(token)
    return Visitor(found, token) if found else None


def init_app(app: Flask) -> None:
    login = Logins()
    login.session_protection = None  # a session is a row: the server ends it
    login.user_loader(_load)
    login.init_app(app)
    app.url_value_preprocessor(_allow_upload)
    app.jinja_env.globals.update(role_names=account.ROLE_NAMES, menu=_menu)
