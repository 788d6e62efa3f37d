"""What operational users see, open and blocked, in every state: it reads well, and fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from portal import block, config
from portal.account import Role
from portal.organisation import Status
from tests.living import ADDRESS, ID, Life, see
from tests.people import act, enrol
from tests.scenes import Scenes
from tests.signing import press
from tests.verifying import found

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Post, Time
    from tests.window import Watch

SHOWN_IN_FULL = {"operations-open", "operations-editing"}  # of the pictures

scene = Scenes[Life]()


def page_of(life: Life, status: Status, role: Role = Role.OPERATOR) -> Page:
    """The page of somebody with a role, while the organisation has a status."""
    life.bring(status)
    if role is Role.OPERATOR:
        return life.sit(life.operator, "/operations")
    somebody = enrol("n.kuznetsova@sever-trakt.example", role, name="Кузнецова Нина Павловна")
    return life.sit(somebody, "/operations")


@scene("operations", "function")
def operations_open(life: Life) -> Page:
    return page_of(life, Status.VERIFIED, Role.MANAGER)


@scene("operations", "awaited", "function")
def operations_awaited(life: Life) -> Page:
    """A specialist looks at what was changed."""
    return page_of(life, Status.RESUBMITTED)


@scene("operations", "no-address", "support-phone")
def operations_without_address(life: Life) -> Page:
    config.use(replace(config.settings, operations_url=""))
    return page_of(life, Status.VERIFIED, Role.SENIOR_OPERATOR)


@scene("operations", "blocked", "closed-status", "closed-since", "can-open", "remind")
def operations_unverified(life: Life) -> Page:
    return page_of(life, Status.UNVERIFIED, Role.CONTROLLER)


@scene("operations", "blocked", "closed-status", "closed-since", "can-open")
def operations_submitted(life: Life) -> Page:
    return page_of(life, Status.SUBMITTED)


@scene("operations", "blocked", "closed-status", "closed-since", "can-open", "remind")
def operations_editing(life: Life) -> Page:
    """There are two administrators to ask."""
    life.employ(life.colleague)
    return page_of(life, Status.EDITING)


@scene("blocked", "can-open", "reminded")
def operations_reminded(life: Life) -> Page:
    page = page_of(life, Status.EDITING)
    press(page, "remind")
    return see(page, "reminded")


@scene("notice", "reminded")
def operations_reminded_by_another(life: Life) -> Page:
    page = page_of(life, Status.UNVERIFIED)
    act(block.remind, found(ID), life.operator.account, ADDRESS)
    life.watch.means(429)
    press(page, "remind")
    return see(page, "notice")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PORTAL_OPERATIONS_URL": "https://portal.example.ru/work"}


@pytest.fixture
def life(new_window: Callable[..., Page], post: Post, time: Time, watch: Watch, site: str) -> Life:
    return Life(new_window, post, time, watch, site)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    life: Life, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(life, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
