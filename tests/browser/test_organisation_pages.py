"""The administrator's pages of organisations in every state: they read well, and fit the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from portal import campaign, confirmation
from portal.account import Role
from portal.database import db
from portal.gateways import Reason
from portal.organisation import Status
from portal.outbox import messages
from tests.living import ADDRESS, ID, OTHER_PHONE, Life, see
from tests.people import act, enrol
from tests.scenes import Scenes
from tests.signing import fill, press
from tests.undelivered import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Post, Time
    from tests.window import Watch

SHOWN_IN_FULL = {
    "organisations",
    "organisation-asked",
    "organisation-editing",
    "organisation-returned",
    "edit",
    "draft",
    "merge",
    "corrections",
    "campaign-new",
    "campaign-draft",
    "campaign-running",
    "organisation-journal",
}  # of the pictures

scene = Scenes[Life]()


# The list


@scene("query", "search", "tab", "organisation", "status", "next-step")
def organisations(life: Life) -> Page:
    """One in each status, and each thing that may come next."""
    for place, status in enumerate(Status, 1):
        life.own(f"ORG-00422{place}", short_name=f"ООО «Рейс {place}»")
        life.bring(status, f"ORG-00422{place}")
    life.own(
        "ORG-004231", short_name="ООО «Дальневосточная объединённая автотранспортная компания»"
    )
    life.request("ORG-004231")
    life.refuse()
    life.own("ORG-004232", short_name="ИП Курганова М. О.", kpp="")
    asked = life.request("ORG-004232")
    act(confirmation.report, asked, {"position": "Директор"}, "", ADDRESS)
    return life.office("/organisations")


@scene("query", "organisation", "first-page")
def organisations_found(life: Life) -> Page:
    """The end of what was found, in one status."""
    life.own("ORG-004218", short_name="ООО «Волжские перевозки»")
    return life.office(f"/organisations?q=волж&status=unverified&after={ID}")


@scene("query", "search", "nothing")
def organisations_nothing_found(life: Life) -> Page:
    return life.office("/organisations?q=ничья&status=verified")


# One organisation


@scene("status", "edit", "submit", "conditions", "request-confirmation", "steps", "organisation-id")
def organisation_new(life: Life) -> Page:
    return life.office()


@scene("status", "phone-status", "email-status", "request", "letter", "cancel-request")
def organisation_asked(life: Life) -> Page:
    """One contact is confirmed; the letter has arrived."""
    life.confirm("phone")
    life.post.deliver()
    return life.office()


@scene("undelivered", "letter", "cancel-request")
def organisation_undelivered(life: Life) -> Page:
    asked = life.request()
    act(confirmation.request_code, asked, ADDRESS)
    life.refuse()
    life.refuse("sms")
    return life.office()


@scene("letter", "cancel-request")
def organisation_uncertain(life: Life) -> Page:
    """The connection broke when the letter was handed over."""
    life.request()
    with db.writing():
        letter = db.scalar(select(messages.c.id).where(messages.c.letter == "confirmation"))
        fail(letter, Reason.UNKNOWN)
        db.commit()
    return life.office()


@scene("reported", "to-corrections", "draft", "to-draft", "request-confirmation")
def organisation_reported(life: Life) -> Page:
    """There is a draft of one's own as well."""
    asked = life.request()
    act(confirmation.report, asked, {"phone": OTHER_PHONE}, "", ADDRESS)
    life.draft(position="Директор по транспорту")
    return life.office()


@scene("request", "request-confirmation")
def organisation_expired(life: Life) -> Page:
    life.request()
    life.time.passes(days=8)
    return life.office()


@scene("submit", "phone-status", "email-status")
def organisation_confirmed(life: Life) -> Page:
    life.confirm()
    return life.office()


@scene("status", "status-since", "edit", "steps")
def organisation_submitted(life: Life) -> Page:
    life.bring(Status.SUBMITTED)
    return life.office()


@scene("status", "status-since", "edit", "steps")
def organisation_verified(life: Life) -> Page:
    life.bring(Status.VERIFIED)
    return life.office()


@scene("status", "submit", "conditions", "phone-status", "steps", "to-discard")
def organisation_editing(life: Life) -> Page:
    life.bring(Status.EDITING)
    return life.office()


@scene("status", "submit", "remarks", "remark")
def organisation_returned(life: Life) -> Page:
    """One remark of three is mended."""
    life.bring(Status.SUBMITTED)
    life.send_back()
    life.edit(position="Начальник автоколонны")
    return life.office()


@scene("status", "status-since", "steps")
def organisation_resubmitted(life: Life) -> Page:
    life.bring(Status.RESUBMITTED)
    return life.office()


@scene("error", "status", "request-confirmation")
def organisation_moved_meanwhile(life: Life) -> Page:
    """One was quicker oneself, in another window."""
    page = life.office()
    life.request()
    life.time.passes(minutes=1)
    life.watch.means(409)
    press(page, "request-confirmation")
    return see(page, "error")


# Editing


@scene("last_name", "person-same", "person-other", "phone", "to-compare")
def edit(life: Life) -> Page:
    return life.office(f"/organisations/{ID}/edit")


@scene("notice", "outdated", "returned", "last_name", "error-last_name", "to-compare")
def edit_wrong(life: Life) -> Page:
    """All at once: a specialist's remarks, a change meanwhile, and errors in what was typed."""
    life.bring(Status.SUBMITTED)
    life.send_back()
    page = life.office(f"/organisations/{ID}/edit")
    life.edit(by=life.colleague, postal_address="163000, г. Архангельск, а/я 14")
    wrong = {"last_name": "", "phone": "112", "email": "lomova", "inn": "2901999015"}
    fill(page, **wrong, ogrn="1", networks="10.20.4.0/33", administrator_email="-")
    life.watch.means(422)
    press(page, "to-compare")
    expect(page.get_by_test_id("last_name")).to_be_focused()
    return see(page, "error-inn")


@scene("notice", "person-same", "person-other", "error-person", "to-compare")
def edit_who(life: Life) -> Page:
    page = edit(life)
    fill(page, first_name="Ирена")
    life.watch.means(422)
    press(page, "to-compare")
    expect(page.get_by_test_id("person-same")).to_be_focused()
    return see(page, "error-person")


@scene(
    "change-phone", "status-after", "users-blocked", "confirm-again", "apply", "forget-draft-open"
)
def draft(life: Life) -> Page:
    life.bring(Status.VERIFIED)
    enrol("p.petrov@sever-trakt.example", Role.OPERATOR)
    enrol("n.kuznetsova@sever-trakt.example", Role.MANAGER)
    life.draft(phone=OTHER_PHONE, position="Директор по транспорту")
    return life.office(f"/organisations/{ID}/draft")


@scene("another-person", "verification-ends", "needs-factor", "apply")
def draft_of_another_person(life: Life) -> Page:
    life.bring(Status.SUBMITTED)
    life.draft(
        last_name="Вознесенская-Константинопольская",
        first_name="Александра",
        patronymic="Владиславовна",
        email="a.voznesenskaya-konstantinopolskaya@sever-trakt.example",
        networks="10.20.4.0/24 10.20.8.0/24",
        legal_address="163000, г. Архангельск, наб. Северной Двины, д. 112, корп. 3, пом. 14-Н",
    )
    return life.office(f"/organisations/{ID}/draft")


@scene("clash-phone", "theirs-phone", "mine-phone", "merge", "forget-draft-open")
def merge(life: Life) -> Page:
    """A colleague was first."""
    life.draft(phone="+79215550148", position="Директор")
    life.edit(by=life.colleague, phone=OTHER_PHONE, legal_address="163000, г. Архангельск, д. 5")
    return life.office(f"/organisations/{ID}/draft")


@scene("advice")
def draft_gone(life: Life) -> Page:
    """It was applied in another window."""
    life.draft(position="Директор")
    page = life.office(f"/organisations/{ID}/draft")
    life.edit(position="Директор")
    life.watch.means(409)
    press(page, "apply")
    return see(page, "advice")


@scene("correction-phone", "take-phone", "correction-inn", "take-corrections")
def corrections(life: Life) -> Page:
    """Good ones, one that is wrong by itself, one without a value, and one done already."""
    proposed = {"inn": "290", "kpp": "", "position": "Директор", "phone": OTHER_PHONE}
    asked = life.request()
    act(confirmation.report, asked, proposed, "Номер сменился в октябре, КПП тоже.", ADDRESS)
    life.draft(position="Директор")
    return life.office(f"/organisations/{ID}/corrections")


@scene("person-same", "person-other", "error-person", "take-corrections")
def corrections_who(life: Life) -> Page:
    asked = life.request()
    act(confirmation.report, asked, {"first_name": "Ирена"}, "", ADDRESS)
    page = life.office(f"/organisations/{ID}/corrections")
    life.watch.means(422)
    press(page, "take-corrections")
    expect(page.get_by_test_id("person-same")).to_be_focused()
    return see(page, "error-person")


@scene("nothing-reported")
def corrections_none(life: Life) -> Page:
    return life.office(f"/organisations/{ID}/corrections")


@scene("users-let-in", "request-ends", "discard")
def discard(life: Life) -> Page:
    life.bring(Status.EDITING)
    life.employ(life.operator)
    life.request()
    return life.office(f"/organisations/{ID}/discard")


@scene("nothing-to-discard")
def discard_nothing(life: Life) -> Page:
    life.watch.means(409)
    return life.office(f"/organisations/{ID}/discard")


# Many at once


def many(life: Life) -> tuple[str | None, ...]:
    """Lines of a list, of which each comes to something else."""
    life.own("ORG-004218", short_name="ООО «Волжские перевозки»")
    life.own("ORG-004219", short_name="ИП Курганова М. О.")
    life.own("ORG-004220", short_name="АО «Северо-Западное автотранспортное предприятие № 3»")
    life.own("ORG-004221", short_name="ООО «Полярная звезда»")
    life.request("ORG-004219")
    life.confirm(id="ORG-004221")
    life.time.passes(hours=1)
    return (ID, "ORG-004218", "ORG-004219", ID, "НЕТ-ТАКОЙ", None, "ORG-004220", "ORG-004221")


@scene("new-campaign")
def campaigns_none(life: Life) -> Page:
    return life.office("/campaigns")


@scene("new-campaign", "campaign")
def campaigns(life: Life) -> Page:
    lines = many(life)
    running = life.start(life.choose(*lines))
    act(campaign.pause, running, ADDRESS)
    life.choose(*lines)
    assert act(campaign.cancel, life.choose(*lines), ADDRESS)
    page = life.office("/campaigns")
    expect(page.get_by_test_id("campaign")).to_have_count(3)
    return page


@scene("type-words", "choose-status", "choose-found", "type-list", "choose-typed", "send-file")
def campaign_new(life: Life) -> Page:
    return life.office("/campaigns/new")


@scene("error", "type-list", "choose-typed")
def campaign_new_wrong(life: Life) -> Page:
    page = campaign_new(life)
    life.watch.means(422)
    press(page, "choose-typed")
    expect(page.get_by_test_id("type-list")).to_be_focused()
    return see(page, "error")


@scene("standing", "renews", "start", "cancel-open", "outcome")
def campaign_draft(life: Life) -> Page:
    offered = life.choose(*many(life))
    return life.office(f"/campaigns/{offered.id}")


@scene("standing", "start", "cancel-open", "outcome")
def campaign_asked_already(life: Life) -> Page:
    life.request()
    offered = life.choose(ID)
    page = life.office(f"/campaigns/{offered.id}")
    expect(page.get_by_test_id("start")).to_have_text("Спросить снова")
    return page


@scene("standing", "progress", "pause", "outcome")
def campaign_running(life: Life) -> Page:
    running = life.start(life.choose(*many(life)))
    return life.office(f"/campaigns/{running.id}")


@scene("standing", "progress", "resume", "cancel-campaign")
def campaign_paused(life: Life) -> Page:
    """About to be cancelled."""
    running = life.start(life.choose(*many(life)))
    assert act(campaign.pause, running, ADDRESS)
    page = life.office(f"/campaigns/{running.id}")
    press(page, "cancel-open")
    return see(page, "cancel-campaign")


@scene("standing", "progress", "export", "outcome")
def campaign_done(life: Life) -> Page:
    """One letter was refused."""
    chosen = life.start(life.choose(*many(life)))
    life.refuse()
    while life.listed(chosen).state is campaign.State.RUNNING:
        life.time.passes(minutes=1)
        campaign.continue_due()
    return life.office(f"/campaigns/{chosen.id}")


# The journal


@scene("export", "kind", "day-since", "day-until", "show", "line", "sentence", "who")
def organisation_journal(life: Life) -> Page:
    """A whole life, over two days."""
    life.bring(Status.VERIFIED)
    life.post.deliver()
    life.time.passes(days=1)
    life.edit(phone=OTHER_PHONE, legal_address="163000, г. Архангельск, наб. Северной Двины, 5")
    life.confirm()
    life.submit()
    life.send_back()
    return life.office(f"/organisations/{ID}/journal")


@scene("kind", "day-since", "show", "no-lines")
def organisation_journal_of_nothing(life: Life) -> Page:
    return life.office(f"/organisations/{ID}/journal?kind=verification&since=2026-11-01")


@scene("error-since", "show")
def organisation_journal_wrong(life: Life) -> Page:
    life.watch.means(422)
    page = life.office(f"/organisations/{ID}/journal?since=31.02.2026&until=вчера")
    expect(page.get_by_test_id("day-since")).to_be_focused()
    return page


@scene("line", "sentence")
def own_journal(life: Life) -> Page:
    return life.office("/journal")


@pytest.fixture
def life(new_window: Callable[..., Page], post: Post, time: Time, watch: Watch, site: str) -> Life:
    return Life(new_window, post, time, watch, site)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    life: Life, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(life, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
