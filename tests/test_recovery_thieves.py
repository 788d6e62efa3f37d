"""Somebody who has part of what is needed: the mailbox, the password, or the old address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal import account, clock, recovery
from portal.account import NotAllowedError, Role, links
from portal.account.links import RESET
from portal.database import db
from portal.recovery import Judgement, NotOpenError, Reason, Refusal, Standing, Verdict
from tests.people import enrol, next_code
from tests.recovering import ADDRESS, CHROME, Scene, act, load, look, posted, tell_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

NEW_PASSWORD = "восемь синих комбайнов стоят"


@pytest.fixture
def scene(app: Flask, keep: Callable[..., None]) -> Iterator[Scene]:
    keep()
    owner = enrol("p@sever-trakt.example", Role.OPERATOR, name="Петров Пётр").account
    yield Scene(owner, tell_apart("first"), tell_apart("second"))
    clock.reset()


def reset_password(scene: Scene, post: Post) -> None:
    """Whoever reads the mailbox chooses a new password."""
    act(links.request_reset, scene.owner.email, ADDRESS)
    token = post.link(scene.owner.email).rpartition("/")[2]
    found = look(links.find_link, RESET, token)
    act(links.choose_password, RESET, *found, NEW_PASSWORD, ADDRESS, CHROME)


def test_a_mailbox_alone_does_not_open_an_account_within_a_day(scene: Scene, post: Post) -> None:
    reset_password(scene, post)
    waiting = scene.wait()
    assert waiting.standing is Standing.APPROVAL, "a second specialist has to agree"
    assert waiting.wait_until
    assert round((waiting.wait_until - clock.now()).total_seconds() / 3600) == 72
    assert not posted("case_code")


def test_a_password_of_long_ago_is_a_second_proof(scene: Scene, post: Post, time: Time) -> None:
    reset_password(scene, post)
    time.passes(days=7, minutes=1)
    assert scene.wait().standing is Standing.WAITING


def test_a_case_ends_when_the_email_or_the_role_changes(scene: Scene) -> None:
    for field in ("email", "role"):
        scene.wait()
        if field == "email":
            act(account.change, scene.owner, "email", "new@sever-trakt.example", "tests")
        else:
            act(account.change_role, scene.owner, Role.MANAGER, "tests")
        act(recovery.cancel_by_change, scene.owner, "tests", "")
        ended = load(scene.case)
        assert (ended.standing, ended.reason) == (Standing.CANCELLED, Reason.CHANGED)
        assert not posted("case_code", due=True), "the code goes to nobody"
        clock.reset()
        if field == "email":
            clock.shift(account.changes.TRUSTED_AFTER)


def test_the_code_of_an_old_address_opens_nothing(scene: Scene) -> None:
    scene.grant()
    code, token = scene.code, scene.enrolment()
    act(account.change, scene.owner, "email", "new@sever-trakt.example", "tests")
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED
    with pytest.raises((NotOpenError, NotAllowedError, AssertionError)):
        scene.finish(token)


def test_wrong_second_factors_stop_a_recovery_rather_than_its_owner(
    scene: Scene, browser: Browser
) -> None:
    """Else a thief who knows the password could pause the owner's sign-in, which stops it."""
    scene.wait()
    thief = browser
    for _sign_in in range(2):
        thief.open("/signin").press(
            "Войти", email=scene.owner.email, password="семь рыжих тракторов едут"
        )
        for _try in range(5):
            thief.press("Войти", code="000000")
    ended = load(scene.case)
    assert (ended.standing, ended.reason) == (Standing.CANCELLED, Reason.WRONG_FACTORS)
    next_code()


def test_an_administrator_cannot_flood_an_employee(scene: Scene) -> None:
    administrator = scene.administrator()
    for _time in range(3):
        granted = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
        assert not isinstance(granted, Refusal)
        act(recovery.refuse, granted, administrator, Reason.WITHDRAWN, ADDRESS)
    before = len(posted())
    again = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    assert again is Refusal.TOO_MANY
    assert len(posted()) == before


def test_registers_alone_are_guessed_too_soon_to_open_an_account(scene: Scene) -> None:
    from portal.recovery import facts

    with db.writing():
        facts.keep(scene.owner.id, "ofd", "registers", "3", "tests")
        db.commit()
    opened = act(recovery.open_by_owner, scene.owner, "ofd", ADDRESS)
    assert not isinstance(opened, Refusal)
    scene.case = opened
    scene.claim()
    assert scene.decide({"registers": "3"}) is Verdict.NOT_ENOUGH
