"""The specialist's pages of organisations in every state: they read well, and fit the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from portal import verification
from portal.confirmation.tables import proofs
from portal.database import db
from portal.journal import events
from portal.organisation import Status
from tests.living import ID, OTHER_PHONE, Life, see
from tests.people import act
from tests.scenes import Scenes
from tests.signing import fill, press
from tests.verifying import kept, report, waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from portal.verification import Verification
    from tests.conftest import Post, Time
    from tests.window import Watch

SHOWN_IN_FULL = {
    "queue",
    "verification-mine",
    "verification-resubmitted",
    "verification-on-paper",
    "support-organisation",
}  # of the pictures

scene = Scenes[Life]()


def at(life: Life, one: Verification) -> Page:
    """A specialist's window on a verification."""
    return life.desk(f"/verifications/{one.id}")


def mine(life: Life) -> Page:
    """The same, having taken it."""
    life.bring(Status.SUBMITTED)
    return at(life, life.take())


# The queue


@scene("waiting", "worker", "status")
def queue(life: Life) -> Page:
    """One's own, a colleague's and two that are free; the oldest first."""
    life.bring(Status.RESUBMITTED)
    life.take()
    for place, name in enumerate(("«Волжские перевозки»", "«Полярная звезда»", "«Рейс»")):
        life.own(f"ORG-00423{place}", short_name=f"ООО {name}")
        life.bring(Status.SUBMITTED, f"ORG-00423{place}")
    life.take("ORG-004230", life.belova)
    return life.desk("/verifications")


@scene("nothing")
def queue_empty(life: Life) -> Page:
    return life.desk("/verifications")


# A verification


@scene("status", "changes", "turn", "take")
def verification_free(life: Life) -> Page:
    life.bring(Status.SUBMITTED)
    life.post.deliver()
    return at(life, waits(ID))


@scene("status", "turn", "verify", "return", "release", "remark-name", "evidence-json", "print")
def verification_mine(life: Life) -> Page:
    return mine(life)


@scene("status", "turn", "verify", "return")
def verification_reported(life: Life) -> Page:
    """The person said that something is wrong, and something else was changed."""
    comment = "Я в этой организации больше не работаю.\nУберите, пожалуйста, мой телефон."
    report(ID, comment, phone=OTHER_PHONE, position="")
    report(ID, "Опечатка в адресе.", legal_address="163000, г. Архангельск, наб. Двины, д. 112")
    return mine(life)


@scene("status", "changed-row", "turn", "verify", "return", "will-block")
def verification_resubmitted(life: Life) -> Page:
    """Much has changed, and it was returned before."""
    life.employ(life.operator)
    life.bring(Status.VERIFIED)
    life.edit(phone=OTHER_PHONE)
    life.confirm()
    life.submit()
    life.send_back()
    life.edit(
        last_name="Вознесенская-Константинопольская",
        first_name="Александра",
        patronymic="Владиславовна",
        email="a.voznesenskaya-konstantinopolskaya@sever-trakt.example",
        legal_address="163000, г. Архангельск, наб. Северной Двины, д. 112, корп. 3, пом. 14-Н",
    )
    life.confirm()
    life.post.deliver()
    life.submit()
    return at(life, life.take())


@scene("remark-error-inn", "verify", "return")
def verification_wrong(life: Life) -> Page:
    page = mine(life)
    page.get_by_test_id("remark-inn").evaluate("field => field.value = 'ИНН' + '\\u0007'")
    life.watch.means(422)
    press(page, "return")
    expect(page.get_by_test_id("remark-inn")).to_be_focused()
    return see(page, "remark-error-inn")


@scene("remark-error-whole")
def verification_without_a_remark(life: Life) -> Page:
    page = mine(life)
    life.watch.means(422)
    press(page, "return")
    expect(page.get_by_test_id("remark-whole")).to_be_focused()
    return see(page, "remark-error-whole")


@scene("status", "turn", "to-take-over")
def verification_of_a_colleague(life: Life) -> Page:
    life.bring(Status.SUBMITTED)
    return at(life, life.take(who=life.belova))


@scene("whose", "take-over")
def verification_taken_over(life: Life) -> Page:
    page = verification_of_a_colleague(life)
    press(page, "to-take-over")
    return see(page, "take-over")


@scene("outcome", "turn")
def verification_verified(life: Life) -> Page:
    life.bring(Status.VERIFIED)
    return life.desk(f"/verifications/{last(ID).id}")


@scene("outcome", "turn", "remark")
def verification_returned(life: Life) -> Page:
    life.bring(Status.SUBMITTED)
    life.send_back()
    return at(life, last(ID))


@scene("outcome", "turn", "newest")
def verification_changed(life: Life) -> Page:
    """The record changed before anybody decided, and was sent once more."""
    life.bring(Status.SUBMITTED)
    earlier = waits(ID)
    life.edit(position="Директор по транспорту")
    life.submit()
    return at(life, kept(earlier.id))


@scene("error", "kept", "turn")
def verification_moved_meanwhile(life: Life) -> Page:
    """A colleague took it away; what was typed is kept."""
    page = mine(life)
    assert act(verification.take, waits(ID), life.belova.account)
    fill(page, **{"remark-inn": "Проверьте ИНН.", "remark-whole": "И приложите устав."})
    life.watch.means(409)
    press(page, "return")
    return see(page, "kept")


@scene("meanwhile", "verify")
def verification_moves_meanwhile(life: Life) -> Page:
    """The same, while one still types."""
    life.bring(Status.SUBMITTED)
    taken = life.take()
    page = life.desk("/verifications")
    page.clock.install()
    page.goto(f"/verifications/{taken.id}")
    assert act(verification.take, waits(ID), life.belova.account)
    page.clock.run_for(5_000)
    return see(page, "meanwhile")


@scene("chain-broken", "turn", "return")
def verification_doubtful(life: Life) -> Page:
    """A contact is not confirmed any more, and the journal is not what it was."""
    life.bring(Status.SUBMITTED)
    taken = life.take()
    broken = (events.c.chain == f"organisation:{ID}") & (events.c.number == 2)
    with db.writing():
        db.execute(proofs.delete().where(proofs.c.kind == "phone"))
        db.execute(update(events).where(broken).values(actor="somebody"))
        db.commit()
    return at(life, taken)


@scene("changed-row")
def verification_on_paper(life: Life) -> Page:
    page = verification_resubmitted(life)
    page.emulate_media(media="print")
    for hidden in ("to-queue", "verify", "remark-name", "release", "sign-out"):
        expect(page.get_by_test_id(hidden)).to_be_hidden()
    return page


# What a caller names


@scene("typed", "search", "organisation", "status")
def support_organisations(life: Life) -> Page:
    for place, status in enumerate(Status):
        life.own(f"ORG-00423{place}", short_name=f"ООО «Рейс {place}»")
        life.bring(status, f"ORG-00423{place}")
    return life.desk("/support/organisations")


@scene("typed", "search", "nothing")
def support_organisations_none(life: Life) -> Page:
    return life.desk("/support/organisations?typed=ORG-999999")


@scene("since", "status", "who-opens", "administrator", "organisation-id")
def support_organisation(life: Life) -> Page:
    life.employ(life.colleague, life.operator)
    life.bring(Status.EDITING)
    life.confirm("email")
    life.refuse()
    return life.desk(f"/support/organisations/{ID}")


@scene("who-opens", "no-administrators", "organisation-id")
def support_organisation_new(life: Life) -> Page:
    """Nobody has done anything yet."""
    life.save("ORG-004230")
    return life.desk("/support/organisations/ORG-004230")


def last(id: str) -> Verification:
    with db.reading():
        known = verification.last_one(id)
    assert known
    return known


@pytest.fixture
def life(new_window: Callable[..., Page], post: Post, time: Time, watch: Watch, site: str) -> Life:
    return Life(new_window, post, time, watch, site)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    life: Life, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(life, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
