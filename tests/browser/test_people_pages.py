"""The pages of an organisation's people in every state: they read well, and fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import account, organisation
from portal.account import Role
from portal.database import db
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol, invite
from tests.scenes import Scenes
from tests.signing import fill, press, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
NEW = "n.novikova@sever-trakt.example"
SHOWN_IN_FULL = {"people-list", "person-new", "person-suspend"}  # of the pictures


@dataclass
class Stage:
    """An organisation with an administrator and some people."""

    new_window: Callable[..., Page]
    keep: Callable[..., None]
    watch: Watch
    boss: Person = field(init=False)
    owner: Person = field(init=False)

    def office(self, path: str = "/people") -> Page:
        self.keep()
        self.boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна")
        self.owner = enrol(EMAIL)
        page = self.new_window()
        sign_in(page, self.boss)
        page.goto(path)
        return page

    def of_owner(self, step: str) -> Page:
        page = self.office()
        page.goto(f"/people/{self.owner.account.id}/{step}")
        return page

    def suspend(self) -> None:
        assert act(account.suspend, self.owner.account, self.boss.account, "10.20.0.3")

    def join_many(self) -> None:
        with db.writing():
            for number in range(12):
                id, name = f"ORG-{number:02}", f"ООО «Рейс {number:02}»"
                details = replace(LOMOVA, short_name=name)
                organisation.save(id, details, ADMINISTRATOR, "", "tests")
                account.join(account.find(self.boss.account.id) or self.boss.account, id, "tests")
            for number in range(60):
                email = f"n{number}@sever-trakt.example"
                account.create(email, Role.OPERATOR, "ORG-004217", "Новиков Николай", "", "tests")
            db.commit()


scene = Scenes[Stage]()


@scene("to-invite", "person", "suspended", "uninvite", "invite-again", "to-restore", "to-role")
def people_list(stage: Stage) -> Page:
    page = stage.office()
    stage.suspend()
    invite(NEW, name="Новикова Нина")
    page.reload()
    return page


@scene("person", "invite-again")
def people_uninvited(stage: Stage) -> Page:
    page = stage.office()
    invite(NEW, name="Новикова Нина")
    page.reload()
    page.get_by_test_id("uninvite").click()
    expect(page.get_by_text("приглашение не действует")).to_be_visible()
    return page


@scene("find-organisation", "choose-organisation", "find-person", "person")
def people_of_many(stage: Stage) -> Page:
    page = stage.office()
    stage.join_many()
    page.goto("/people?organisation=ORG-004217&find=рейс")
    return page


@scene("no-organisation", "nobody", "first-page")
def people_nobody(stage: Stage) -> Page:
    page = stage.office()
    stage.join_many()
    page.goto("/people?find=ничья&email=nobody@sever-trakt.example")
    return page


@scene("email", "name", "phone", "role-operator", "role-manager", "invite")
def person_new(stage: Stage) -> Page:
    return stage.office("/people/new")


@scene("error-email", "error-name", "error-phone")
def person_new_wrong(stage: Stage) -> Page:
    page = stage.office("/people/new")
    stage.watch.means(422)
    fill(page, email="nobody", phone="112")
    press(page, "invite")
    expect(page.get_by_test_id("error-role")).to_be_visible()
    return page


@scene("done", "person")
def person_invited(stage: Stage) -> Page:
    page = stage.office("/people/new")
    fill(page, email=NEW, name="Новикова Нина")
    page.get_by_test_id("role-controller").check()
    press(page, "invite")
    expect(page.get_by_test_id("done")).to_be_visible()
    return page


@scene("role-operator", "role-manager", "change-role")
def person_role(stage: Stage) -> Page:
    return stage.of_owner("role")


@scene("suspend")
def person_suspend(stage: Stage) -> Page:
    return stage.of_owner("suspend")


@scene("restore")
def person_restore(stage: Stage) -> Page:
    page = stage.office()
    stage.suspend()
    page.goto(f"/people/{stage.owner.account.id}/restore")
    return page


@scene("suspended", "password", "enter", "support-phone")
def signing_in_suspended(stage: Stage) -> Page:
    stage.office()
    stage.suspend()
    page = stage.new_window()
    page.goto("/signin")
    stage.watch.means(403)
    fill(page, email=EMAIL, password=stage.owner.password)
    press(page, "enter")
    expect(page.get_by_test_id("suspended")).to_be_visible()
    return page


@pytest.fixture
def stage(new_window: Callable[..., Page], keep: Callable[..., None], watch: Watch) -> Stage:
    return Stage(new_window, keep, watch)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    stage: Stage, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(stage, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
