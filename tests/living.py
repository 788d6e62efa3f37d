"""An organisation's life in a real browser: who has to do with it, and it in any state.

The states are made by the verbs of the nouns, which is quick; only what a test is about is clicked.
Who is needed gets an account when first asked for, and a window that is signed in already.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from portal import account, campaign, confirmation, editing, organisation, outbox, verification
from portal.account import Role
from portal.campaign import Campaign, Line, Way
from portal.confirmation.course import prove
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.organisation import Status
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol
from tests.signing import come_signed_in
from tests.verifying import found, waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from portal.confirmation import Confirmation
    from portal.gateways import Outgoing
    from portal.verification import Verification
    from tests.conftest import Post, Time
    from tests.window import Watch

ID = "ORG-004217"
OFFICE = "10.20.4.11"
DESK = "10.20.0.3"
ADDRESS = "10.20.4.17"  # of the responsible person
OTHER_PHONE = "+79215550199"
MANY_MINUTES = {"minutes": 7}  # between one step and the next
REMARKS = {
    "legal_address": "В выписке из ЕГРЮЛ другой дом: 5.",
    "position": "Укажите должность так, как она названа в приказе.",
    "": "Приложите к следующему письму скан приказа.",
}


@dataclass
class Life:
    """What a scene is made with: an organisation, and windows for all who see it."""

    new_window: Callable[..., Page]
    post: Post
    time: Time
    watch: Watch
    site: str
    boss: Person = field(init=False)  # its administrator

    def __post_init__(self) -> None:
        self.save(ID)
        self.boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна")

    # Who else there is

    @cached_property
    def colleague(self) -> Person:
        """Another administrator of the same organisation."""
        email = "b.belov@sever-trakt.example"
        return enrol(email, Role.ADMINISTRATOR, name="Белов Борис Игоревич")

    @cached_property
    def orlov(self) -> Person:
        return enrol("v.orlov@izkt.example", Role.SPECIALIST, name="Орлов Виктор Андреевич")

    @cached_property
    def belova(self) -> Person:
        return enrol("m.belova@izkt.example", Role.SPECIALIST, name="Белова Мария Игоревна")

    @cached_property
    def operator(self) -> Person:
        return enrol("p.petrov@sever-trakt.example", Role.OPERATOR)

    def employ(self, *people: Person) -> None:
        """See to it that these have accounts: they get one when they are named."""

    # Their windows

    def office(self, path: str = f"/organisations/{ID}", who: Person | None = None) -> Page:
        """The administrator's window."""
        return self.sit(who or self.boss, path, OFFICE)

    def desk(self, path: str, who: Person | None = None) -> Page:
        """The specialist's."""
        return self.sit(who or self.orlov, path, DESK)

    def sit(self, who: Person, path: str, address: str = ADDRESS, **how: Any) -> Page:
        """A window of somebody who signed in a moment ago, on a page."""
        page = self.new_window(address, **how)
        come_signed_in(page, who, self.site, address)
        page.goto(path)
        return page

    # What happens to an organisation. The clock goes on, so that no two moments are the same.

    def save(self, id: str, **changed: Any) -> None:
        """Bring an organisation into the portal, as an import does."""
        details = replace(LOMOVA, **changed)
        act(organisation.save, id, details, ADMINISTRATOR, "", "command")

    def own(self, id: str, **changed: Any) -> str:
        """One more organisation of the administrator; returns its ID."""
        self.save(id, **changed)
        act(account.join, self.boss.account, id, "command")
        return id

    def request(self, id: str = ID) -> Confirmation:
        """Ask the responsible person."""
        self.time.passes(**MANY_MINUTES)
        asked = act(confirmation.request, found(id), self.boss.account.id, OFFICE)
        return self.asked(asked)

    def asked(self, id: str) -> Confirmation:
        with db.reading():
            known = confirmation.find(id)
        assert known
        return known

    def confirm(self, *kinds: str, id: str = ID) -> None:
        """Ask, and have these contacts confirmed; without a name both, or what is left of them."""
        asked = self.request(id)
        for kind in kinds or ("phone", "email"):
            self.time.passes(minutes=2)
            asked = self.asked(asked.id)
            if not getattr(asked, f"{kind}_confirmed_at"):
                act(prove, asked, kind, ADDRESS)

    def submit(self, id: str = ID) -> Verification:
        self.time.passes(**MANY_MINUTES)
        sent = act(verification.submit, found(id), self.boss.account, OFFICE)
        assert sent is verification.Sent.SENT
        return waits(id)

    def take(self, id: str = ID, who: Person | None = None) -> Verification:
        self.time.passes(**MANY_MINUTES)
        assert act(verification.take, waits(id), (who or self.orlov).account)
        return waits(id)

    def verify(self, id: str = ID) -> None:
        taken = self.take(id)
        assert act(verification.verify, taken, self.orlov.account, DESK)

    def send_back(self, id: str = ID, remarks: dict[str, str] = REMARKS) -> None:
        act(verification.send_back, self.take(id), self.orlov.account, remarks, DESK)

    def draft(self, id: str = ID, *, by: Person | None = None, **changed: str) -> None:
        """Begin an edit; it does not count yet."""
        self.time.passes(**MANY_MINUTES)
        start = organisation.start_of(found(id))
        values = {**start.values, **changed}
        is_another_person = "last_name" in changed
        with db.writing():
            organisation.keep_draft(
                id,
                (by or self.boss).account.id,
                start,
                values,
                is_another_person=is_another_person,
            )
            db.commit()

    def edit(self, id: str = ID, *, by: Person | None = None, **changed: str) -> None:
        """Edit an organisation; whatever waited for it ends."""
        self.draft(id, by=by, **changed)
        actor = (by or self.boss).account.id
        with db.writing():
            kept = organisation.draft_of(id, actor)
            assert kept
            editing.apply(kept, OFFICE)
            db.commit()

    def bring(self, to: Status, id: str = ID) -> None:
        """Bring a new organisation to a status, by the way that there is."""
        for status in Status:
            if status in {Status.SUBMITTED, Status.RESUBMITTED}:
                self.confirm(id=id)
                self.submit(id)
            elif status is Status.VERIFIED:
                self.verify(id)
            elif status is Status.EDITING:
                self.edit(id, phone=OTHER_PHONE)
            if status is to:
                break

    # Letters, and many at once

    def refuse(self, channel: str = "email") -> None:
        """Have everything that is due refused for good."""
        outbox.deliver_due(channel, Refusing())

    def choose(self, *texts: str | None) -> Campaign:
        """A list of the administrator's that is not started; None is a line nobody can read."""
        lines = [Line(place, text) for place, text in enumerate(texts, 1)]
        made = act(campaign.begin, self.boss.account, Way.TYPED)
        act(campaign.add, made, self.boss.account, lines)
        offered: Campaign = act(campaign.offer, made)
        return offered

    def start(self, chosen: Campaign) -> Campaign:
        """Start a list; the first letters leave."""
        assert act(campaign.start, chosen, OFFICE) is campaign.Started.STARTED
        campaign.continue_due()
        return self.listed(chosen)

    def listed(self, chosen: Campaign) -> Campaign:
        with db.reading():
            now = campaign.find(chosen.id)
        assert now
        return now


class Refusing:
    """A gateway whose far end refuses everything."""

    def send(self, _message: Outgoing) -> str:
        raise Trouble(Reason.REFUSED, permanent=True)

    def close(self) -> None:
        """Nothing is open."""


def see(page: Page, *names: str) -> Page:
    """Wait until a page has come to what it should show."""
    for name in names:
        expect(page.get_by_test_id(name).first).to_be_visible()
    return page
