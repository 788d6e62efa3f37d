"""Operational users: what their role has to do, or why it is closed; walked without scripts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from portal import account, block, clock, config, confirmation, organisation, verification
from portal.account import Role
from portal.block import Reminded
from portal.database import db
from portal.journal import events
from portal.organisation import Status
from portal.organisation.status import move
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol
from tests.verifying import change, confirm, found, kept, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

ID = "ORG-004217"
REMIND = "Напомнить администратору"
SUBJECT = "Сотрудник просит открыть доступ"
ORDERS, PACKAGES = "Заказ карт тахографа", "Формирование пакетов"
SOKOLOVA = "Соколова Анна Петровна"
# The moves that lead to a status.
WAYS = {
    Status.UNVERIFIED: (),
    Status.SUBMITTED: (Status.SUBMITTED,),
    Status.VERIFIED: (Status.SUBMITTED, Status.VERIFIED),
    Status.EDITING: (Status.SUBMITTED, Status.VERIFIED, Status.EDITING),
    Status.RESUBMITTED: (
        *(Status.SUBMITTED, Status.VERIFIED, Status.EDITING),
        Status.RESUBMITTED,
    ),
}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PORTAL_OPERATIONS_URL": "https://portal.example.ru/work/"}


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    """An operator of the organisation."""
    keep()
    return enrol("petrov@sever-trakt.example", name="Петров Пётр Ильич")


@pytest.fixture
def here(petrov: Person, new_browser: Callable[..., Browser]) -> Browser:
    return petrov.come_in(new_browser()).open("/operations")


def go(to: Status, id: str = ID) -> None:
    """Move an organisation on by one status."""
    with db.writing():
        found = organisation.find(id)
        assert found
        move(id, found.status, to, "tests")
        db.commit()


def bring(to: Status) -> None:
    """Bring a new organisation to a status."""
    for each in WAYS[to]:
        go(each)


def told(id: str = ID) -> list[str]:
    """What the journal of an organisation says."""
    with db.reading():
        rows = db.all(events.select().order_by(events.c.id))
    return [row.name for row in rows if row.chain == f"organisation:{id}"]


# The page


def test_an_operational_user_begins_here(
    petrov: Person, new_browser: Callable[..., Browser]
) -> None:
    here = petrov.sign_in(new_browser())
    assert (here.path, here.page.heading) == ("/operations", "Операционная часть")
    assert LOMOVA.short_name in here
    assert "Оператор" in here
    assert set(here.page.links) >= {"Операционная часть", "Мои устройства"}
    assert "Сотрудники" not in here


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.OPERATOR, [ORDERS]),
        (Role.SENIOR_OPERATOR, [ORDERS, PACKAGES]),
        (Role.CONTROLLER, [PACKAGES]),
        (Role.MANAGER, [ORDERS, PACKAGES]),
    ],
)
def test_each_role_has_its_functions(
    keep: Callable[..., None], new_browser: Callable[..., Browser], role: Role, names: list[str]
) -> None:
    keep()
    bring(Status.VERIFIED)
    page = enrol("someone@sever-trakt.example", role).come_in(new_browser()).open("/operations")
    assert page.named("operations") == "открыта"
    assert page.every("function") == names
    addresses = {ORDERS: "orders", PACKAGES: "packages"}
    for name in names:
        assert page.page.links[name] == f"https://portal.example.ru/work/{addresses[name]}"
    assert not page.has("blocked")
    assert not page.has("remind")


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SPECIALIST])
def test_it_is_for_nobody_else(
    keep: Callable[..., None], new_browser: Callable[..., Browser], role: Role
) -> None:
    keep()
    page = enrol("other@sever-trakt.example", role).come_in(new_browser())
    assert page.open("/operations").status == 403
    assert "Операционная часть" not in page


@pytest.mark.parametrize(
    ("status", "why", "who"),
    [
        (Status.UNVERIFIED, "Организация ещё не проверена", SOKOLOVA),
        (Status.SUBMITTED, "Организация на проверке", "специалист ИЗКТ"),
        (Status.EDITING, "Меняются реквизиты организации", SOKOLOVA),
    ],
)
def test_who_is_blocked_reads_why_since_when_and_who_can_open_it(
    here: Browser, time: Time, status: Status, why: str, who: str
) -> None:
    enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA)
    time.passes(minutes=3)
    bring(status)
    page = here.open("/operations")
    assert page.status == 200
    assert page.named("operations") == "закрыта"
    assert why in page.named("blocked")
    assert page.named("closed-status") == organisation.STATUS_NAMES[status]
    with db.reading():
        found = organisation.find(ID)
    assert found
    assert page.named("closed-since").endswith("мск")
    assert f"{found.status_since.astimezone(clock.MOSCOW):%d.%m}" in page.named("closed-since")
    assert who in page.named("can-open")
    assert (ADMINISTRATOR in page.named("can-open")) == (who == SOKOLOVA)
    assert page.has("remind") == (who == SOKOLOVA)
    assert page.named("organisation-id") == ID
    assert not page.has("function")


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.RESUBMITTED])
def test_who_may_work_sees_the_functions(here: Browser, status: Status) -> None:
    bring(status)
    page = here.open("/operations")
    assert page.every("function") == [ORDERS]
    assert page.has("awaited") == (status is Status.RESUBMITTED)


class TestWithoutAnAddress:
    """`PORTAL_OPERATIONS_URL` is not set."""

    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"PORTAL_OPERATIONS_URL": ""}

    def test_the_page_says_whom_to_ask(self, here: Browser) -> None:
        bring(Status.VERIFIED)
        page = here.open("/operations")
        assert page.named("operations") == "открыта"
        assert f"Вам доступно: «{ORDERS}»." in page.named("no-address")
        assert "Позвоните в поддержку" in page.named("no-address")
        assert not page.has("function")


# It follows the status


def part(page: Browser, seen: str) -> Any:
    """What htmx gets when it asks whether there is news."""
    headers = {"HX-Request": "true", "HX-Target": "div#operations"}
    return page.ask("get", f"/operations?seen={seen}", headers=headers, follow_redirects=False)


def version(page: Browser) -> str:
    return page.response.text.partition("/operations?seen=")[2].partition('"')[0]


def test_the_page_follows_the_status_both_ways(here: Browser) -> None:
    bring(Status.SUBMITTED)
    seen = version(here.open("/operations"))
    assert part(here, seen).status_code == 204
    for to, state in ((Status.VERIFIED, "открыта"), (Status.EDITING, "закрыта")):
        go(to)
        answer = part(here, seen)
        assert answer.status_code == 200
        assert answer.text.lstrip().startswith('<div id="operations"')
        assert state in answer.text
        seen = version(here.open("/operations"))
        assert part(here, seen).status_code == 204


def test_the_page_follows_who_may_be_asked(here: Browser) -> None:
    seen = version(here.open("/operations"))
    enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="Белов Борис")
    answer = part(here, seen)
    assert answer.status_code == 200
    assert "Белов Борис" in answer.text


def test_watching_keeps_nobody_signed_in(here: Browser, time: Time) -> None:
    seen = version(here.open("/operations"))
    for _ in range(4):
        time.passes(minutes=10)
        part(here, seen)
    answer = part(here, seen)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/signin?ended=")


# What it waits for


@pytest.mark.parametrize("status", [Status.UNVERIFIED, Status.EDITING])
def test_the_page_and_the_letter_say_what_is_really_missing(
    here: Browser, post: Post, time: Time, ask: Callable[..., str | None], status: Status
) -> None:
    bring(status)
    send = {
        Status.UNVERIFIED: "отправьте организацию на проверку",
        Status.EDITING: "отправьте изменения на повторную проверку",
    }[status]

    def letter() -> str:
        time.passes(hours=24, seconds=1)
        assert act(block.remind, found(ID), clerk, "10.20.4.17") is Reminded.SENT
        return post.letters(ADMINISTRATOR)[-1].text

    clerk = enrol("clerk@sever-trakt.example").account
    page = here.open("/operations")
    assert "администратору нужно запросить у него подтверждение" in page.named("blocked")
    assert (
        "Что сделать: сначала нажмите «Запросить подтверждение». "
        f"Когда ответственное лицо подтвердит телефон и email, {send}."
    ) in letter()

    ask()
    said = letter()
    assert "ждём, когда ответственное лицо подтвердит телефон и email." in said
    assert "нажмите" not in said
    confirm(ID, "email")
    assert f"ждём, когда ответственное лицо подтвердит телефон. После этого {send}." in letter()

    time.passes(days=30)
    assert "нажмите «Запросить ещё раз»" in letter(), "the request has run out"
    confirm(ID)
    said = letter()
    assert f"Что сделать: {send} — телефон и email уже подтверждены." in said
    assert "нажмите" not in said


@pytest.mark.parametrize("status", [Status.UNVERIFIED, Status.EDITING])
def test_the_page_follows_what_it_waits_for(
    here: Browser, ask: Callable[..., str | None], status: Status
) -> None:
    bring(status)
    seen = version(here.open("/operations"))

    def news() -> str:
        nonlocal seen
        assert part(here, seen).status_code == 200
        page = here.open("/operations")
        seen = version(page)
        assert part(here, seen).status_code == 204
        return page.named("blocked")

    ask()
    assert "Ждём, когда ответственное лицо подтвердит телефон и email." in news()
    confirm(ID, "phone")
    assert "Ждём, когда ответственное лицо подтвердит email." in news()
    confirm(ID)
    said = news()
    assert "Администратор может отправить " in said
    assert "подтвердит" not in said


def test_remarks_come_first_for_who_was_never_verified_too(here: Browser, post: Post) -> None:
    """The administrator's own page says «исправьте замечания» as well."""
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA).account
    judge = enrol("judge@izkt.example", Role.SPECIALIST).account
    one = waiting(ID, boss)
    act(verification.take, one, judge)
    act(verification.send_back, kept(one.id), judge, {"inn": "Не тот"}, "10.20.0.3")
    page = here.open("/operations")
    assert "Специалист ИЗКТ вернул данные с замечаниями" in page.named("blocked")
    page.press(REMIND)
    assert "исправьте то, на что указал специалист" in post.letters(ADMINISTRATOR)[-1].text


def test_remarks_and_a_reported_error_come_first(
    here: Browser, post: Post, time: Time, ask: Callable[..., str | None]
) -> None:
    clerk = enrol("clerk@sever-trakt.example").account
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA).account
    judge = enrol("judge@izkt.example", Role.SPECIALIST).account
    one = waiting(ID, boss)
    act(verification.take, one, judge)
    act(verification.verify, kept(one.id), judge, "10.20.0.3")
    again = waiting(ID, boss, position="Директор")
    act(verification.take, again, judge)
    act(verification.send_back, kept(again.id), judge, {"position": "Не так"}, "10.20.0.3")
    page = here.open("/operations")
    assert "Специалист ИЗКТ вернул данные с замечаниями" in page.named("blocked")
    act(block.remind, found(ID), clerk, "10.20.4.17")
    assert "исправьте то, на что указал специалист" in post.letters(ADMINISTRATOR)[-1].text

    change(ID, phone="+79215550199", position="Механик")
    asked = ask()
    assert asked
    request = confirmation.find(asked)
    assert request
    act(confirmation.report, request, [], "Не мой номер", "10.20.4.17")
    assert "Ответственное лицо нашло ошибку" in here.open("/operations").named("blocked")
    time.passes(hours=24, seconds=1)
    act(block.remind, found(ID), clerk, "10.20.4.17")
    assert "исправьте ошибку, о которой сообщило" in post.letters(ADMINISTRATOR)[-1].text


# Reminding the administrator


def test_the_administrators_are_reminded(here: Browser, post: Post) -> None:
    for email in (ADMINISTRATOR, "second@sever-trakt.example"):
        enrol(email, Role.ADMINISTRATOR, name=SOKOLOVA)
    suspended = enrol("third@sever-trakt.example", Role.ADMINISTRATOR).account
    with db.writing():
        account.suspend(suspended, "tests", "")
        db.commit()
    page = here.open("/operations").press(REMIND)
    assert (page.status, page.path) == (200, "/operations")
    assert "Администратору напомнили письмом" in page.named("reminded")
    assert not page.has("remind")
    for email in (ADMINISTRATOR, "second@sever-trakt.example"):
        letter = post.letters(email)[-1]
        assert letter.subject == SUBJECT
        assert f"Здравствуйте, {SOKOLOVA}!" in letter.text
        assert "Петров Пётр Ильич из организации ООО «Северный тракт»" in letter.text
        assert "организация ещё не проверена" in letter.text
        assert f"http://127.0.0.1:8000/organisations/{ID}\n" in letter.text
    assert SUBJECT not in {each.subject for each in post.letters("third@sever-trakt.example")}
    assert told()[-1] == "block.reminded"


def test_the_letter_says_what_an_edit_waits_for(here: Browser, post: Post) -> None:
    bring(Status.EDITING)
    here.open("/operations").press(REMIND)
    letter = post.letters(ADMINISTRATOR)[-1]
    assert "ещё не отправлены на повторную проверку" in letter.text
    assert "верните проверенные реквизиты" in letter.text


def test_without_an_account_the_address_on_record_gets_the_letter(
    here: Browser, post: Post
) -> None:
    page = here.open("/operations")
    assert page.named("can-open") == f"администратор организации, {ADMINISTRATOR}"
    page.press(REMIND)
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == [SUBJECT]


def test_an_organisation_reminds_once_a_day(
    here: Browser, new_browser: Callable[..., Browser], post: Post, time: Time
) -> None:
    mate = enrol("mate@sever-trakt.example", Role.MANAGER).sign_in(new_browser("10.20.4.30"))
    here.open("/operations").press(REMIND)
    mate.press(REMIND)  # on the page as it was before
    assert mate.status == 429
    assert "уже напомнили" in mate.named("notice")
    assert 86_000 < int(mate.response.headers["Retry-After"]) <= 86_400
    assert not mate.has("remind")
    assert len(post.letters(ADMINISTRATOR)) == 1
    time.passes(hours=23)
    assert not here.open("/operations").has("remind")
    time.passes(hours=1, seconds=1)
    here = enrol("later@sever-trakt.example").sign_in(new_browser())
    here.press(REMIND)
    assert here.status == 200
    assert len(post.letters(ADMINISTRATOR)) == 2


def test_two_at_once_send_one_letter(petrov: Person, app: Flask, post: Post) -> None:
    """Each in a transaction of its own, as two processes would be."""
    came: list[Reminded] = []
    start = threading.Barrier(4)

    def press() -> None:
        with app.app_context():
            start.wait()
            came.append(remind())
            db.close()

    @db.again
    def remind() -> Reminded:
        with db.writing():
            found = organisation.find(ID)
            assert found
            said = block.remind(found, petrov.account, "10.20.4.17")
            db.commit()
        return said

    threads = [threading.Thread(target=press) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(came) == [Reminded.SENT, *[Reminded.TOO_SOON] * 3]
    assert len(post.letters(ADMINISTRATOR)) == 1


@pytest.mark.parametrize("status", [Status.SUBMITTED, Status.VERIFIED, Status.RESUBMITTED])
def test_nobody_is_reminded_where_it_is_not_their_turn(
    here: Browser, post: Post, status: Status
) -> None:
    here.open("/operations")
    bring(status)
    here.press(REMIND)
    assert here.status == 409
    assert "Напоминать больше не о чем" in here.named("notice")
    assert here.named("operations") == ("закрыта" if status is Status.SUBMITTED else "открыта")
    assert not post.letters(ADMINISTRATOR)
    assert "block.reminded" not in told()


def test_an_old_form_reminds_nobody(here: Browser, post: Post) -> None:
    here.open("/operations")
    here.page.form_of(REMIND).fields["csrf_token"] = "forged"
    here.press(REMIND)
    assert here.status == 422
    assert "Страница устарела" in here.named("notice")
    assert not post.letters(ADMINISTRATOR)
    here.press(REMIND)
    assert here.status == 200
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_a_reminder_of_one_organisation_is_none_of_another(
    here: Browser, keep: Callable[..., None], new_browser: Callable[..., Browser], post: Post
) -> None:
    keep("ORG-2")
    here.open("/operations").press(REMIND)
    stranger = enrol("stranger@yug.example", Role.CONTROLLER, "ORG-2")
    page = stranger.sign_in(new_browser("10.20.4.30"))
    assert page.named("organisation-id") == "ORG-2"
    page.press(REMIND)
    assert page.status == 200
    assert len(post.letters(ADMINISTRATOR)) == 2


def test_the_map_of_functions_names_every_operational_role() -> None:
    assert set(block.FUNCTIONS) == account.OPERATIONAL
    assert all(block.FUNCTIONS.values())


# The setting


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("", ""),
        ("https://portal.example.ru/work", "https://portal.example.ru/work"),
        ("https://portal.example.ru:8443/", "https://portal.example.ru:8443"),
        ("http://127.0.0.1:9000/work/", "http://127.0.0.1:9000/work"),
    ],
)
def test_an_address_of_the_operational_part(
    environment: dict[str, str], value: str, kept: str
) -> None:
    loaded = config.load(environment | {"PORTAL_OPERATIONS_URL": value})
    assert loaded.operations_url == kept


def test_one_of_somebody_elses_organisation_is_not_theirs(petrov: Person) -> None:
    """Whoever is signed in, the organisation comes from the account: no address names it."""
    assert act(account.is_of, petrov.account, ID)
    assert not act(account.is_of, petrov.account, "ORG-2")
