"""The specialist's page of what never left, in every state: it reads well, and fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import outbox
from portal.account import Role
from portal.database import db
from portal.gateways import Reason
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import act, enrol
from tests.scenes import Scenes
from tests.signing import press, sign_in
from tests.undelivered import undelivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Time
    from tests.window import Watch

DESK = "10.20.0.3"
SHOWN_IN_FULL = {"deliveries"}


@dataclass
class Stage:
    """What a scene is made with."""

    new_window: Callable[..., Page]
    keep: Callable[..., None]
    time: Time
    watch: Watch

    def desk(self) -> Page:
        """A specialist's window on the page."""
        page = self.new_window(DESK)
        sign_in(page, enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария"))
        page.goto("/deliveries")
        return page

    def fail_in_all_ways(self) -> None:
        self.keep()
        self.keep("ORG-009118")
        owner = enrol("p.petrov@sever-trakt.example", name="Петров Пётр Петрович").account
        undelivered("confirmation", Reason.REFUSED, to=LOMOVA.email)
        self.time.passes(minutes=47)
        undelivered("code", Reason.EXPIRED, to=LOMOVA.phone, channel="sms", kept=None, code="0")
        undelivered("reminder", to=LOMOVA.email, organisation_id="ORG-009118")
        self.time.passes(hours=3)
        undelivered("verified", Reason.REFUSED, organisation_id="ORG-009118")
        undelivered("completed", Reason.MISCONFIGURED)
        undelivered("code", Reason.REFUSED, to=LOMOVA.phone, channel="sms", kept=None, code="0")
        undelivered("case_opened", organisation_id=None, account_id=owner.id)
        undelivered("reported", kept=timedelta(0))


scene = Scenes[Stage]()


@scene("delivery", "why", "to-do", "deliver-again")
def deliveries(stage: Stage) -> Page:
    stage.fail_in_all_ways()
    return stage.desk()


@scene("all-delivered")
def deliveries_none(stage: Stage) -> Page:
    return stage.desk()


@scene("done")
def deliveries_sent(stage: Stage) -> Page:
    stage.fail_in_all_ways()
    page = stage.desk()
    press(page.get_by_test_id("delivery").filter(has_text=ADMINISTRATOR).nth(1), "deliver-again")
    expect(page.get_by_test_id("done")).to_be_visible()
    return page


@scene("notice")
def deliveries_twice(stage: Stage) -> Page:
    stage.fail_in_all_ways()
    page = stage.desk()
    with db.reading():
        ids = [each.id for each in outbox.failed(most=20) if each.may_be_sent_again]
    for id in ids:
        assert act(outbox.send_again, id, "tests")
    stage.watch.means(409)
    press(page.get_by_test_id("delivery").filter(has_text=ADMINISTRATOR).nth(1), "deliver-again")
    expect(page.get_by_test_id("notice")).to_be_visible()
    return page


@pytest.fixture
def stage(
    new_window: Callable[..., Page], keep: Callable[..., None], time: Time, watch: Watch
) -> Stage:
    return Stage(new_window, keep, time, watch)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    stage: Stage, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(stage, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
