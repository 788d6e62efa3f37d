"""Who gets where: every route for every role, and nothing of theirs without a second factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyotp
import pytest
from sqlalchemy import text

from portal import campaign, clock, config, create_app, device, diagnostics, recovery
from portal.account import OPERATIONAL, Account, Role, session
from portal.account.session import Stage
from portal.database import db, metadata
from tests.authenticator import Authenticator
from tests.browser import Browser, squeeze
from tests.people import (
    PASSWORD,
    Person,
    act,
    codes_on,
    cookie_of,
    enrol,
    invite,
    is_in,
    payload_of,
    plant,
    secret_on,
)
from tests.undelivered import undelivered
from tests.verifying import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from werkzeug.routing import Rule

    from tests.conftest import Post

    NewBrowser = Callable[..., Browser]

INSIDE, OUTSIDE, STAFF = "10.20.4.17", "203.0.113.9", "10.30.0.5"
FORGED = "A" * 22
WAITING_ORGANISATION = "ORG-5"  # sent for verification
OWN_ORGANISATION, OTHER_ORGANISATION, WITHOUT_ADMINISTRATOR = "ORG-004217", "ORG-2", "ORG-3"

# What a route answers to whom. `object` is whose the object in its address is; the last column is
# the line that a refusal leaves in the journal. Rows are tried in this order, by somebody who gave
# a second factor a moment ago.
TABLE = """
method route                       object     administrator specialist operational  journal

GET    home.home                   -                    303        303         303  -
GET    home.choose_language        -                    303        303         303  -
GET    help.page                   -                    200        200         200  -
GET    help.guide                  forged               404        404         404  -
GET    health.live                 -                    200        200         200  -
GET    health.ready                -                    200        200         200  -
GET    metrics.page                -                    200        200         200  -
GET    static                      -                    200        200         200  -
GET    inbox.messages              -                    200        200         200  -
GET    inbox.message               forged               404        404         404  -
GET    inbox.letter                forged               404        404         404  -
GET    inbox.letter_styles         forged               404        404         404  -

GET    confirm.open_link           forged               410        410         410  -
GET    confirm.open_email_link     forged               410        410         410  -
GET    confirm.page                foreign              410        410         410  -
GET    confirm.page                forged               410        410         410  -
GET    confirm.code_page           foreign              410        410         410  -
POST   confirm.request_code        foreign              410        410         410  -
POST   confirm.enter_code          foreign              410        410         410  -
POST   confirm.send_code_again     foreign              410        410         410  -
POST   confirm.send_email_link     foreign              410        410         410  -
GET    confirm.report              foreign              410        410         410  -
POST   confirm.report              foreign              410        410         410  -
GET    confirm.email_page          forged               410        410         410  -
POST   confirm.follow_email_link   forged               410        410         410  -

GET    diagnostics.start           -                    200        200         200  -
GET    diagnostics.result          -                    200        200         200  -
POST   diagnostics.measure         -                    422        422         422  -
POST   diagnostics.begin           -                    303        303         303  -

GET    account.sign_in             -                    303        303         303  -
GET    account.second_factor       -                    303        303         303  -
POST   account.enter_code          -                    303        303         303  -
POST   account.passkey_options     -                    303        303         303  -
POST   account.enter_passkey       -                    303        303         303  -
GET    account.backup_code         -                    303        303         303  -
POST   account.enter_backup_code   -                    303        303         303  -
POST   account.invite_again        -                    303        303         303  -
GET    account.invitation          forged               410        410         410  -
GET    account.new_password        forged               410        410         410  -
GET    account.accept_invitation   -                    410        410         410  -
POST   account.accept_invitation   -                    410        410         410  -
GET    account.choose_password     -                    410        410         410  -
POST   account.choose_password     -                    410        410         410  -
GET    account.forgotten           -                    200        200         200  -
POST   account.forgotten           -                    200        200         200  -

GET    recovery.page               -                    303        303         303  -
POST   recovery.open_case          -                    303        303         303  -
POST   recovery.enter_code         -                    303        303         303  -
GET    recovery.cancel             forged               410        410         410  -
GET    recovery.cancel_page        -                    410        410         410  -
POST   recovery.confirm_cancel     -                    410        410         410  -

GET    organisations.page          -                    200        403         403  access.refused
GET    organisations.organisation  own                  200        403         403  access.refused
GET    organisations.organisation  foreign              404        403         403  access.refused
GET    organisations.organisation  forged               404        403         403  access.refused
POST   organisations.request_confirmation own           409        403         403  access.refused
POST   organisations.request_confirmation foreign       404        403         403  access.refused
POST   organisations.request_confirmation forged        404        403         403  access.refused
POST   organisations.cancel        own                  409        403         403  access.refused
POST   organisations.cancel        foreign              404        403         403  access.refused
POST   organisations.cancel        forged               404        403         403  access.refused
POST   organisations.submit        own                  409        403         403  access.refused
POST   organisations.submit        foreign              404        403         403  access.refused
POST   organisations.submit        forged               404        403         403  access.refused

GET    edit.page                   own                  200        403         403  access.refused
GET    edit.page                   foreign              404        403         403  access.refused
GET    edit.page                   forged               404        403         403  access.refused
POST   edit.keep                   own                  422        403         403  access.refused
POST   edit.keep                   foreign              404        403         403  access.refused
POST   edit.keep                   forged               404        403         403  access.refused
GET    edit.draft                  own                  303        403         403  access.refused
GET    edit.draft                  foreign              404        403         403  access.refused
GET    edit.draft                  forged               404        403         403  access.refused
POST   edit.apply                  own                  409        403         403  access.refused
POST   edit.apply                  foreign              404        403         403  access.refused
POST   edit.apply                  forged               404        403         403  access.refused
POST   edit.merge                  own                  409        403         403  access.refused
POST   edit.merge                  foreign              404        403         403  access.refused
POST   edit.merge                  forged               404        403         403  access.refused
POST   edit.forget                 own                  409        403         403  access.refused
POST   edit.forget                 foreign              404        403         403  access.refused
POST   edit.forget                 forged               404        403         403  access.refused
GET    corrections.page            own                  200        403         403  access.refused
GET    corrections.page            foreign              404        403         403  access.refused
GET    corrections.page            forged               404        403         403  access.refused
POST   corrections.take            own                  409        403         403  access.refused
POST   corrections.take            foreign              404        403         403  access.refused
POST   corrections.take            forged               404        403         403  access.refused
GET    edit.discard_page           own                  409        403         403  access.refused
GET    edit.discard_page           foreign              404        403         403  access.refused
GET    edit.discard_page           forged               404        403         403  access.refused
POST   edit.discard                own                  409        403         403  access.refused
POST   edit.discard                foreign              404        403         403  access.refused
POST   edit.discard                forged               404        403         403  access.refused

GET    campaigns.page              -                    200        403         403  access.refused
GET    campaigns.new               -                    200        403         403  access.refused
POST   campaigns.make              -                    422        403         403  access.refused
GET    campaigns.campaign_page     own                  200        403         403  access.refused
GET    campaigns.campaign_page     foreign              404        403         403  access.refused
GET    campaigns.campaign_page     forged               404        403         403  access.refused
GET    campaigns.export            own                  200        403         403  access.refused
GET    campaigns.export            foreign              404        403         403  access.refused
GET    campaigns.export            forged               404        403         403  access.refused
POST   campaigns.start             own                  409        403         403  access.refused
POST   campaigns.start             foreign              404        403         403  access.refused
POST   campaigns.start             forged               404        403         403  access.refused
POST   campaigns.pause             own                  409        403         403  access.refused
POST   campaigns.pause             foreign              404        403         403  access.refused
POST   campaigns.pause             forged               404        403         403  access.refused
POST   campaigns.resume            own                  409        403         403  access.refused
POST   campaigns.resume            foreign              404        403         403  access.refused
POST   campaigns.resume            forged               404        403         403  access.refused
POST   campaigns.cancel            foreign              404        403         403  access.refused
POST   campaigns.cancel            forged               404        403         403  access.refused
POST   campaigns.cancel            own                  303        403         403  access.refused

GET    people.page                 -                    200        403         403  access.refused
GET    people.reset_page           own                  200        403         403  access.refused
GET    people.reset_page           foreign              404        403         403  access.refused
GET    people.reset_page           myself               404        403         403  access.refused
GET    people.reset_page           colleague            404        403         403  access.refused
GET    people.reset_page           forged               404        403         403  access.refused
POST   people.reset                foreign              404        403         403  access.refused
POST   people.reset                myself               404        403         403  access.refused
POST   people.reset                colleague            404        403         403  access.refused
POST   people.reset                forged               404        403         403  access.refused
POST   people.reset                own                  409        403         403  access.refused
POST   people.refuse               foreign              404        403         403  access.refused
POST   people.refuse               myself               404        403         403  access.refused
POST   people.refuse               colleague            404        403         403  access.refused
POST   people.refuse               forged               404        403         403  access.refused
POST   people.refuse               own                  409        403         403  access.refused
GET    people.new                  -                    200        403         403  access.refused
POST   people.invite               -                    422        403         403  access.refused
POST   people.invite_again         own                  409        403         403  access.refused
POST   people.invite_again         foreign              404        403         403  access.refused
POST   people.invite_again         forged               404        403         403  access.refused
POST   people.withdraw_invitation  own                  409        403         403  access.refused
POST   people.withdraw_invitation  foreign              404        403         403  access.refused
POST   people.withdraw_invitation  forged               404        403         403  access.refused
GET    people.role_page            own                  200        403         403  access.refused
GET    people.role_page            foreign              404        403         403  access.refused
GET    people.role_page            myself               404        403         403  access.refused
GET    people.role_page            colleague            404        403         403  access.refused
GET    people.role_page            forged               404        403         403  access.refused
POST   people.change_role          foreign              404        403         403  access.refused
POST   people.change_role          myself               404        403         403  access.refused
POST   people.change_role          colleague            404        403         403  access.refused
POST   people.change_role          forged               404        403         403  access.refused
GET    people.suspend_page         own                  200        403         403  access.refused
GET    people.suspend_page         foreign              404        403         403  access.refused
GET    people.suspend_page         myself               404        403         403  access.refused
GET    people.suspend_page         colleague            404        403         403  access.refused
GET    people.suspend_page         forged               404        403         403  access.refused
POST   people.suspend              foreign              404        403         403  access.refused
POST   people.suspend              myself               404        403         403  access.refused
POST   people.suspend              colleague            404        403         403  access.refused
POST   people.suspend              forged               404        403         403  access.refused
GET    people.restore_page         own                  200        403         403  access.refused
GET    people.restore_page         foreign              404        403         403  access.refused
GET    people.restore_page         myself               404        403         403  access.refused
GET    people.restore_page         colleague            404        403         403  access.refused
GET    people.restore_page         forged               404        403         403  access.refused
POST   people.restore              foreign              404        403         403  access.refused
POST   people.restore              myself               404        403         403  access.refused
POST   people.restore              colleague            404        403         403  access.refused
POST   people.restore              forged               404        403         403  access.refused
POST   people.change_role          own                  422        403         403  access.refused
POST   people.restore              own                  409        403         403  access.refused
POST   people.suspend              own                  303        403         403  access.refused
POST   people.suspend              own                  409        403         403  access.refused

GET    verifications.queue         -                    403        200         403  access.refused
GET    verifications.page          waiting              403        200         403  access.refused
GET    verifications.page          forged               403        404         403  access.refused
GET    verifications.evidence      waiting              403        200         403  access.refused
GET    verifications.evidence      forged               403        404         403  access.refused
GET    verifications.take_over     waiting              403        303         403  access.refused
GET    verifications.take_over     forged               403        404         403  access.refused
POST   verifications.decide        waiting              403        409         403  access.refused
POST   verifications.decide        forged               403        404         403  access.refused
POST   verifications.take          waiting              403        303         403  access.refused
POST   verifications.take          forged               403        404         403  access.refused
GET    verifications.organisations -                    403        200         403  access.refused
GET    verifications.organisation_page foreign          403        200         403  access.refused
GET    verifications.organisation_page forged           403        404         403  access.refused

GET    journal.page                -                    200        200         200  -
GET    journal.export              -                    200        200         200  -
GET    journal.organisation        own                  200        200         403  access.refused
GET    journal.organisation        foreign              404        200         403  access.refused
GET    journal.organisation        forged               404        404         403  access.refused
GET    journal.export_organisation own                  200        200         403  access.refused
GET    journal.export_organisation foreign              404        200         403  access.refused
GET    journal.export_organisation forged               404        404         403  access.refused
GET    journal.person              own                  200        403         403  access.refused
GET    journal.person              foreign              404        403         403  access.refused
GET    journal.person              myself               404        403         403  access.refused
GET    journal.person              colleague            404        403         403  access.refused
GET    journal.person              forged               404        403         403  access.refused
GET    journal.export_person       own                  200        403         403  access.refused
GET    journal.export_person       foreign              404        403         403  access.refused
GET    journal.export_person       myself               404        403         403  access.refused
GET    journal.export_person       colleague            404        403         403  access.refused
GET    journal.export_person       forged               404        403         403  access.refused

GET    support.cases               -                    403        200         403  access.refused
GET    support.new_case            -                    403        200         403  access.refused
POST   support.new_case            -                    403        422         403  access.refused
GET    support.case                free                 403        200         403  access.refused
GET    support.case                foreign              403        200         403  access.refused
GET    support.case                own                  403        404         403  case.own_refused
GET    support.case                forged               403        404         403  case.forged
POST   support.claim_number        free                 403        422         403  access.refused
POST   support.claim_number        own                  403        404         403  case.own_refused
POST   support.claim_number        forged               403        404         403  case.forged
POST   support.keep_answers        foreign              403        409         403  -
POST   support.keep_answers        own                  403        404         403  case.own_refused
POST   support.keep_answers        forged               403        404         403  case.forged
POST   support.approve             free                 403        409         403  access.refused
POST   support.approve             own                  403        404         403  case.own_refused
POST   support.approve             forged               403        404         403  case.forged
POST   support.refuse              free                 403        422         403  access.refused
POST   support.refuse              own                  403        404         403  case.own_refused
POST   support.refuse              forged               403        404         403  case.forged

GET    operations.page             -                    403        403         200  access.refused
POST   operations.remind           -                    403        403         303  access.refused
GET    forward_auth.ask            -                    403        403         403  -

GET    deliveries.page             -                    403        200         403  access.refused
POST   deliveries.send_again       forged               403        404         403  access.refused
POST   deliveries.send_again       undelivered          403        303         403  access.refused

GET    check.page                  -                    200        200         200  -
POST   check.enter                 -                    422        422         422  -
POST   check.passkey_options       -                    200        200         200  -

GET    devices.page                -                    200        200         200  -
POST   devices.begin               -                    303        303         303  -
GET    devices.replacement         -                    303        303         303  -
POST   devices.keep_replacement    -                    303        303         303  -
GET    devices.codes               -                    303        303         303  -
POST   devices.type_back           -                    303        303         303  -
GET    devices.new                 -                    303        303         303  -
POST   devices.new                 -                    303        303         303  -
POST   devices.add_totp            -                    422        422         422  -
POST   devices.passkey_options     -                    200        200         200  -
POST   devices.add_passkey         -                    422        422         422  -
POST   devices.new_codes           -                    303        303         303  -
POST   devices.drop                foreign              404        404         404  access.refused
POST   devices.drop                forged               404        404         404  access.refused
POST   devices.drop                own                  303        303         303  -
POST   devices.end_session         foreign              404        404         404  access.refused
POST   devices.end_session         forged               404        404         404  access.refused
POST   devices.end_session         own                  303        303         303  -
POST   devices.end_sessions        -                    303        303         303  -
GET    own_password.page           -                    200        200         200  -
POST   own_password.change         -                    422        422         422  -

POST   account.enter_password      -                    422        422         422  -
POST   account.sign_out            -                    303        303         303  -
"""


class Row(NamedTuple):
    """A line of the table."""

    method: str
    route: str
    object: str
    administrator: str
    specialist: str
    operational: str
    journal: str

    def expected(self, role: Role) -> int:
        return int(self.operational if role in OPERATIONAL else getattr(self, role))


ROWS = [Row(*line.split()) for line in TABLE.strip().splitlines()[1:] if line]


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) & {"GET", "POST"})


def rules(app: Flask) -> list[Rule]:
    found = list(app.url_map.iter_rules())
    assert len(found) > 60
    return found


def test_every_route_has_its_row(app: Flask) -> None:
    there = {(method, rule.endpoint) for rule in rules(app) for method in methods(rule)}
    assert there == {(row.method, row.route) for row in ROWS}


def test_every_route_with_an_object_is_tried_with_a_forged_one(app: Flask) -> None:
    """Or with a foreign one, where its page is not the account's at all."""
    gaps = {
        rule.endpoint
        for rule in rules(app)
        if rule.arguments and rule.endpoint not in {"static", "home.choose_language"}
    }
    tried = {row.route for row in ROWS if row.object == "forged"}
    tried |= {row.route for row in ROWS if row.route.startswith("confirm.")}
    assert gaps == tried & gaps


class World:
    """Somebody who is signed in, and everybody and everything there is beside them."""

    def __init__(self, role: Role, asked: str) -> None:
        own = OWN_ORGANISATION
        self.me = enrol("me@sever-trakt.example", role, own, name="Ясенева Яна Яновна")
        self.mate = enrol("mate@sever-trakt.example", Role.OPERATOR, own)
        self.colleague = enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR, own)
        self.stranger = enrol("stranger@yug.example", Role.CONTROLLER, OTHER_ORGANISATION)
        self.specialist = enrol("specialist@izkt.example", Role.SPECIALIST)
        callers = [
            enrol(f"caller{number}@rechnoy.example", Role.OPERATOR, WITHOUT_ADMINISTRATOR)
            for number in range(2)
        ]
        self.keys = [with_passkey(each) for each in (self.me, self.stranger)]
        self.cases = {
            "free": case_of(callers[0].account),
            "foreign": case_of(callers[1].account),
            "own": case_of(self.me.account),
        }
        self.campaigns = {
            "own": campaign_of(self.me.account),
            "foreign": campaign_of(self.colleague.account),
        }
        take(self.specialist.account, self.cases["foreign"])
        self.waiting = waiting(WAITING_ORGANISATION, self.colleague.account).id
        self.asked = asked
        self.undelivered = undelivered()

    def id(self, row: Row) -> str:
        """What the address names."""
        if row.object == "forged":
            return FORGED
        if row.route.startswith("confirm."):
            return self.asked
        of_organisations = ("organisations.", "edit.", "corrections.")
        if row.route.startswith(of_organisations) or row.route in OF_ORGANISATIONS:
            return {"own": OWN_ORGANISATION, "foreign": OTHER_ORGANISATION}[row.object]
        if row.route.startswith("campaigns."):
            return self.campaigns[row.object]
        if row.route.startswith("support."):
            return self.cases[row.object]
        if row.route == "verifications.organisation_page":
            return OTHER_ORGANISATION
        if row.route.startswith("verifications."):
            return self.waiting
        if row.route.startswith("deliveries."):
            return self.undelivered
        whose = {
            "own": self.mate if row.route.startswith(OF_PEOPLE) else self.me,
            "foreign": self.stranger,
            "myself": self.me,
            "colleague": self.colleague,
        }[row.object].account.id
        table = {"devices.drop": "devices", "devices.end_session": "sessions"}.get(row.route)
        return first_of(table, whose) if table else whose


OF_ORGANISATIONS = {"journal.organisation", "journal.export_organisation"}
OF_PEOPLE = ("people.", "journal.person", "journal.export_person")


def with_passkey(owner: Person) -> Authenticator:
    """A second device, so that one can be dropped."""
    key = Authenticator()
    with db.writing():
        asked = device.registration_options(owner.account)
        answer = key.register(asked.json)
        assert device.add_passkey(owner.account, answer, asked.challenge, "Ноутбук", INSIDE)
        db.commit()
    return key


def case_of(owner: Account) -> str:
    opened = act(recovery.open_by_owner, owner, "cabinet", INSIDE)
    assert isinstance(opened, recovery.Case)
    return opened.id


def campaign_of(owner: Account) -> str:
    """A draft, in which nobody gets a letter: the organisation was asked a moment ago."""
    id: str = act(campaign.begin, owner, campaign.Way.TYPED)
    act(campaign.add, id, owner, [campaign.Line(1, OWN_ORGANISATION)])
    act(campaign.offer, id)
    return id


def take(specialist: Account, case_id: str) -> None:
    """A specialist works on the case, with the number of its owner's computer."""
    with db.writing():
        case = recovery.find(case_id)
        assert case
        cookie = diagnostics.begin(case.owner.id, INSIDE, "")
        seen = diagnostics.of_browser(cookie)
        assert seen
        assert recovery.claim_number(case, specialist, seen.number, INSIDE) is recovery.Claim.FOUND
        db.commit()


def first_of(table: str, owner_id: str) -> str:
    """The oldest thing of an account."""
    rows = metadata.tables[table]
    with db.reading():
        found = db.all(rows.select().where(rows.c.account_id == owner_id))
    open_ones = [row for row in found if not getattr(row, "ended_at", None)]
    return str(min(open_ones, key=lambda row: getattr(row, WHEN[table])).id)


WHEN = {"cases": "opened_at", "devices": "added_at", "sessions": "begun_at"}


@pytest.fixture
def new_world(keep: Callable[..., None], ask: Callable[..., str | None]) -> Callable[[Role], World]:
    keep()
    keep(OTHER_ORGANISATION)
    keep(WITHOUT_ADMINISTRATOR)
    asked = ask()
    assert asked
    return lambda role: World(role, asked)


def url_of(app: Flask, endpoint: str, id: str) -> str:
    rule = next(each for each in rules(app) if each.endpoint == endpoint)
    values: dict[str, Any] = dict.fromkeys(rule.arguments, id)
    values |= {"filename": "portal.css", "code": "ru"}
    if endpoint.startswith("inbox."):
        values["id"] = 999
    needed = {name: values[name] for name in rule.arguments}
    return app.url_map.bind("127.0.0.1").build(endpoint, needed)


def csrf(browser: Browser) -> str:
    """A token against forged requests that is good in this browser."""
    browser.open("/password")
    return browser.page.form_of("Отправить письмо").fields["csrf_token"]


class Watch:
    """What changed in the database since one looked last; but for when browsers were seen."""

    def __init__(self) -> None:
        self.version, self.rows = self._look()

    def changed(self) -> set[str]:
        """The tables in which anything did."""
        before, after = self.version, self._ask(VERSION[kind()])
        if before == after:  # nobody committed anything
            return set()
        old = self.rows
        self.version, self.rows = self._look()
        return {name for name in old if old[name] != self.rows[name]}

    def noted(self) -> list[tuple[str, str]]:
        """Name and actor of the journal's lines that are new since."""
        with db.reading():
            lines = db.all(metadata.tables["events"].select().order_by(text("id")))
        return [(row.name, row.actor) for row in lines[len(self.rows["events"]) :]]

    def _look(self) -> tuple[Any, dict[str, Any]]:
        return self._ask(VERSION[kind()]), {
            name: self._ask(sql) for name, sql in EVERYTHING.items()
        }

    def _ask(self, sql: str) -> Any:
        with db.reading():
            return db.connection.exec_driver_sql(sql).fetchall()


def kind() -> str:
    return db.url.partition(":")[0]


VERSION = {"sqlite": "PRAGMA data_version", "postgresql": "SELECT pg_current_snapshot()::text"}
EVERYTHING = {
    table.name: f"SELECT {', '.join(each.key for each in table.c if each.key != 'seen_at')}"
    f" FROM {table.name} ORDER BY 1, 2"
    for table in metadata.sorted_tables
}


ONE_IS_LIKE_ALL = OPERATIONAL - {Role.OPERATOR}  # of them one meets the same statements as all


@pytest.mark.parametrize(
    "role",
    [
        pytest.param(role, marks=pytest.mark.sqlite) if role in ONE_IS_LIKE_ALL else role
        for role in Role
    ],
)
def test_each_role_gets_what_is_its_own(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser, role: Role
) -> None:
    world = new_world(role)
    world.stranger.come_in(new_browser())
    world.me.come_in(new_browser())
    browser = world.me.come_in(new_browser())
    form = {
        "csrf_token": csrf(browser),
        "email": "nobody@izkt.example",
        "code": world.me.wrong,
        "password": "не тот пароль",
    }
    act(recovery.open_by_owner, world.me.account, "cabinet", INSIDE)  # signing in cancelled it
    world.cases["own"] = first_of("cases", world.me.account.id)
    watch = Watch()
    for row in ROWS:
        url = url_of(app, row.route, world.id(row) if row.object != "-" else "")
        what = {"data": form} if row.method == "POST" else {}
        answer = browser.ask(row.method.lower(), url, **AS_IT_IS, **what)
        expected = row.expected(role)
        assert answer.status_code == expected, (row, answer.text)
        noted, changed = watch.noted(), watch.changed()
        if expected == 403 and row.journal != "-":
            assert noted == [("access.refused", world.me.account.id)], row
        elif expected == 404 and row.journal != "-":
            assert noted == [(row.journal, world.me.account.id)], row
        if expected >= 400 and row.route not in COUNTED:
            assert changed <= {"events", "uses"}, row


AS_IT_IS: dict[str, Any] = {"follow_redirects": False, "buffered": True}
COUNTED = {  # what was wrong is counted
    "account.enter_password",
    "check.enter",
    "devices.add_passkey",
    "devices.add_totp",
}


@pytest.mark.sqlite  # each is refused before it comes to a row
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SPECIALIST, Role.MANAGER])
def test_nobody_signed_in_is_made_to_change_anything_by_another_site(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser, role: Role
) -> None:
    world = new_world(role)
    browser = world.me.come_in(new_browser())
    foreign = csrf(world.stranger.come_in(new_browser()))
    watch = Watch()
    for row in ROWS:
        if row.method == "POST" and row.expected(role) != 403:
            url = url_of(app, row.route, world.id(row) if row.object != "-" else "")
            for token in ({}, {"csrf_token": ""}, {"csrf_token": foreign}):
                data = {"code": world.me.code, "email": world.me.account.email} | token
                answer = browser.ask("post", url, data=data, **AS_IT_IS)
                assert answer.status_code in {303, 404, 410, 422}, row
                assert watch.changed() <= {"events", "uses"}, row
    assert is_in(browser)


# Without the second factor

# Which rows may change by somebody who is not signed in, or not all the way.
STRANGERS: dict[str, set[str]] = {
    "account.enter_password": {"events", "uses", "wrong_passwords"},
    "account.forgotten": {"account_links", "events", "messages", "uses"},
    "diagnostics.begin": {"diagnostics", "uses"},
    "diagnostics.measure": {"diagnostics"},
}
ANYBODYS = STRANGERS | {"account.sign_out": {"sessions"}}
COUNTING = {"accounts", "events", "sessions"}
MAY_CHANGE: dict[Stage | None, dict[str, set[str]]] = {
    None: STRANGERS,
    Stage.PASSWORD: ANYBODYS
    | {
        "account.enter_code": COUNTING,
        "account.enter_backup_code": COUNTING,
        "account.enter_passkey": COUNTING,
        "account.passkey_options": {"sessions"},
        "recovery.open_case": {"cases", "events", "messages", "uses"},
    },
    Stage.ENROLMENT: ANYBODYS
    | {
        "devices.add_totp": COUNTING,
        "devices.add_passkey": COUNTING,
        "devices.passkey_options": {"sessions"},
    },
}
# What only pages of those who are signed in have on them.
SIGNED_IN = (
    *('"sign-out"', '"device"', '"sign-in"', '"codes-left"', '"person"', '"to-reset"', '"reset"'),
    *('"add-device"', '"change"', '"new-case"', '"tab-open"', '"type-number"', '"replacement"'),
    *('class="menu"', "Мои устройства</h1>", "Сотрудники</h1>"),
)


def stages_of(account_id: str) -> set[str]:
    rows = metadata.tables["sessions"]
    with db.reading():
        return {row.stage for row in db.all(rows.select()) if row.account_id == account_id}


def test_nobody(app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser) -> None:
    world = new_world(Role.ADMINISTRATOR)
    walk(app, world, new_browser(), None, lambda _browser: None)


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SPECIALIST, Role.MANAGER])
def test_who_typed_the_password_alone(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser, role: Role
) -> None:
    world = new_world(role)
    walk(app, world, new_browser(), Stage.PASSWORD, world.me.enter_password)


@pytest.mark.parametrize("step", ["before the device", "before the codes"])
def test_who_was_invited(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser, post: Post, step: str
) -> None:
    world = new_world(Role.ADMINISTRATOR)
    owner = invite("new@sever-trakt.example", Role.ADMINISTRATOR, name="Ясенева Яна Яновна")
    link = post.link(owner.email)

    def begin(browser: Browser) -> None:
        browser.open(link).press("Продолжить", password=PASSWORD, again=PASSWORD)
        secret = secret_on(browser)
        if step == "before the codes":
            browser.press("Добавить приложение", code=pyotp.TOTP(secret).at(clock.now()))
            assert len(codes_on(browser)) == 10

    world.me.account = owner
    walk(app, world, new_browser(), Stage.ENROLMENT, begin)


def test_whose_device_was_lost(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser, post: Post
) -> None:
    """Here the old device is in a thief's hands, and shows its codes."""
    world = new_world(Role.ADMINISTRATOR)
    mate = world.mate
    assert isinstance(
        act(recovery.grant_by_administrator, world.colleague.account, mate.account, INSIDE),
        recovery.Case,
    )
    code = post.letters(mate.account.email)[-1].text.split("\n\n")
    typed = next(each for each in code if len(each) == 9 and each[4] == "-")

    def begin(browser: Browser) -> None:
        mate.enter_password(browser).open("/recovery")
        browser.press("Добавить новое устройство", code=typed)
        assert secret_on(browser)

    world.me = mate
    walk(app, world, new_browser(), Stage.ENROLMENT, begin)


def walk(
    app: Flask,
    world: World,
    browser: Browser,
    stage: Stage | None,
    begin: Callable[[Browser], Any],
) -> None:
    """Try every route; it is judged by what its answer says and by what it changed."""
    begin(browser)
    token, cookie = csrf(browser), cookie_of(browser)
    others = (world.mate, world.colleague, world.stranger)
    theirs = [each for each in others if each is not world.me]
    secrets = [each.account.id for each in theirs] + [*world.cases.values()]
    secrets += [each.account.email for each in theirs]
    watch, tried = Watch(), 0
    for row in ROWS:
        if stage_of(cookie) is not stage:
            begin(browser)
            token, cookie = csrf(browser), cookie_of(browser)
            watch = Watch()
        plant(browser, cookie)
        url = url_of(app, row.route, object_of(world, row))
        code = world.me.wrong if row.route == "account.enter_code" else world.me.code
        form = {
            "csrf_token": token,
            "code": code,
            "answer": "{}",
            "email": world.me.account.email,
            "password": "не тот пароль",
            "again": "не тот пароль",
            "service": "cabinet",
            "number": "123456789",
            "time": "1",
        }
        for method in {"GET": ("get", "head", "options"), "POST": ("post",)}[row.method]:
            what = {"data": form} if method == "post" else {}
            answer = browser.ask(method, url, **AS_IT_IS, **what)
            tried += 1
            changed = watch.changed()
            assert changed <= MAY_CHANGE[stage].get(row.route, set()), (row, changed)
            if row.route.startswith(("static", "inbox.")):
                continue
            for words in (*SIGNED_IN, *secrets):
                assert words not in answer.text, (row, words)
            if row.route.startswith(OF_STAFF):
                of_stage = stage is Stage.ENROLMENT and row.route in ENROLS
                assert answer.status_code in ({200, 303, 422} if of_stage else {303, 401}), row
                assert of_stage or answer.headers.get("Location", "/signin") == "/signin"
    assert stages_of(world.me.account.id) <= ({str(stage), "password"} if stage else set())
    assert tried > 100


OF_STAFF = (  # pages of those who are signed in all the way
    *("people.", "support.", "check.", "devices.", "journal."),
    *("campaigns.", "operations.", "organisations.", "verifications.", "edit."),
    *("corrections.", "own_password."),
)
ENROLS = {
    *("devices.new", "devices.add_totp", "devices.passkey_options", "devices.add_passkey"),
    *("devices.codes", "devices.type_back"),
}


def object_of(world: World, row: Row) -> str:
    """The object of a row; of sessions and devices whichever there is."""
    if row.object == "-":
        return ""
    if row.route in {"devices.drop", "devices.end_session"} and row.object != "forged":
        table = {"devices.drop": "devices", "devices.end_session": "sessions"}[row.route]
        with db.reading():
            found = db.all(metadata.tables[table].select())
        return str(found[0].id) if found else FORGED
    return world.id(row)


def stage_of(cookie: str) -> Stage | None:
    """How far the session in a cookie has come; None if it has ended, or never was."""
    token = payload_of(cookie).get("_user_id", "")
    with db.reading():
        found = session.find(token)
    return found.stage if found else None


# Only from the networks of staff


def staff_rules(app: Flask) -> Iterator[Rule]:
    """All that is not for the responsible person, or for anybody whose channel is broken."""
    for rule in rules(app):
        public = [
            *("home.", "help.", "health.", "static", "confirm.", "diagnostics.", "inbox."),
            "forward_auth.",  # which shows no page at all
        ]
        cancels = {"recovery.cancel", "recovery.cancel_page", "recovery.confirm_cancel"}
        if not rule.endpoint.startswith(tuple(public)) and rule.endpoint not in cancels:
            yield rule


def answers_from(app: Flask, browsers: dict[str, Browser], id: str) -> set[tuple[int, str]]:
    seen = set()
    tried = 0
    for rule in staff_rules(app):
        url = url_of(app, rule.endpoint, id)
        for method in sorted(rule.methods or ()):
            for browser in browsers.values():
                answer = browser.ask(method.lower(), url, **AS_IT_IS)
                assert "Set-Cookie" not in answer.headers, rule
                if method != "HEAD":
                    seen.add((answer.status_code, answer.text))
                assert answer.status_code == 403, rule
                tried += 1
    assert tried > 100
    return seen


def test_from_elsewhere_every_page_of_staff_is_the_same(
    app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser
) -> None:
    world = new_world(Role.ADMINISTRATOR)
    browsers = {
        "nobody": new_browser(),
        "half": world.colleague.enter_password(new_browser()),
        "full": world.me.come_in(new_browser()),
    }
    for browser in browsers.values():
        browser.address = OUTSIDE
    watch = Watch()
    seen = answers_from(app, browsers, world.mate.account.id)
    assert len(seen) == 1
    page = squeeze(seen.pop()[1])
    assert "Подключитесь к защищённому каналу" in page
    assert OUTSIDE in page
    assert "Администратор" not in page
    assert not watch.changed()
    browsers["full"].address = INSIDE
    assert is_in(browsers["full"]), "nothing is used up by it"


@pytest.mark.parametrize(
    "path", ["/diagnostics", "/diagnostics/result", "/cancel", "/", "/help", "/help/responsible"]
)
def test_pages_for_everywhere_do_not_say_who_is_signed_in(
    new_world: Callable[[Role], World], new_browser: NewBrowser, path: str
) -> None:
    world = new_world(Role.ADMINISTRATOR)
    browser = world.me.come_in(new_browser())
    browser.address = OUTSIDE
    page = browser.ask("get", path).text
    for words in (*SIGNED_IN, "Ясенева", world.me.account.email):
        assert words not in page


class TestOtherNetworks:
    """`PORTAL_STAFF_NETWORKS` may be others than those of the responsible persons."""

    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"PORTAL_STAFF_NETWORKS": "10.30.0.0/16"}

    def test_accounts_sign_in_from_them_alone(
        self, app: Flask, new_world: Callable[[Role], World], new_browser: NewBrowser
    ) -> None:
        world = new_world(Role.ADMINISTRATOR)
        browser = world.me.come_in(new_browser(STAFF))
        assert is_in(browser)
        browser.address = INSIDE
        assert len(answers_from(app, {"full": browser}, world.mate.account.id)) == 1
        assert browser.ask("get", f"/confirmation/{world.asked}").status_code == 410
        browser.address = STAFF
        assert browser.ask("get", f"/confirmation/{world.asked}").status_code == 403
        assert is_in(browser)


def test_an_unknown_address_is_outside(app: Flask, new_browser: NewBrowser) -> None:
    for address in ("", "?", "::1", "10.21.0.1", "::ffff:10.21.0.1"):
        assert new_browser(address).open("/signin").status == 403
    assert new_browser("::ffff:10.20.4.17").open("/signin").status == 200


def test_the_cookie_of_another_portal_is_nobodys(
    app: Flask,
    environment: dict[str, str],
    new_world: Callable[[Role], World],
    new_browser: NewBrowser,
) -> None:
    world = new_world(Role.MANAGER)
    other = create_app(
        config.load(
            environment | {"PORTAL_SECRET_KEY": "another secret key, 32 bytes long at least"}
        )
    )
    elsewhere = world.me.sign_in(Browser(other.test_client()))
    assert is_in(elsewhere)
    create_app(config.load(environment))
    assert not is_in(plant(new_browser(), cookie_of(elsewhere)))
