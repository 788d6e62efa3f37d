"""The administrator's console without scripts: the list of organisations, and one of them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from portal import (
    account,
    block,
    clock,
    confirmation,
    editing,
    language,
    organisation,
    verification,
)
from portal.account import Account, Role
from portal.account.tables import sessions
from portal.confirmation import Confirmation, Standing
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.journal import events
from portal.organisation import Organisation, Status
from portal.outbox import deliver_due
from portal.routes.organisations import ON_A_PAGE
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.lost_device import press_twice
from tests.people import Person, act, enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.gateways import Outgoing
    from portal.verification import Verification
    from tests.browser import Browser
    from tests.conftest import Post, Time

ID, PAGE = "ORG-004217", "/organisations/ORG-004217"
ADDRESS = "10.20.4.17"
REQUEST, AGAIN, CANCEL = "Запросить подтверждение", "Запросить ещё раз", "Отозвать запрос"
SUBMIT, RESUBMIT = "Отправить на проверку", "Отправить на повторную проверку"
NAME = LOMOVA.short_name


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    """The administrator of the organisation."""
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна")


@pytest.fixture
def office(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    """Their browser, on the page they begin with."""
    return boss.come_in(new_browser())


@pytest.fixture
def other_office(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    """The browser of another administrator of the same organisation."""
    second = enrol("second@sever-trakt.example", Role.ADMINISTRATOR, name="Второва Вера Ильинична")
    return second.come_in(new_browser())


def organisation_of(id: str = ID) -> Organisation:
    found = organisation.find(id)
    assert found
    return found


def load(id: str) -> Confirmation:
    found = confirmation.find(id)
    assert found
    return found


def open_id() -> str:
    last = confirmation.last_request(ID)
    assert last
    assert last.is_open
    return last.id


def confirm_phone(post: Post) -> None:
    found = load(open_id())
    act(confirmation.request_code, found, ADDRESS)
    act(confirmation.enter_code, load(found.id), post.code(found.details.phone), ADDRESS)


def confirm_email() -> None:
    id = open_id()
    act(confirmation.request_email_link, load(id), ADDRESS)
    link = load(id).email_link
    assert link
    act(confirmation.follow_email_link, load(id), link.id, ADDRESS)


def confirmed(office: Browser, post: Post) -> Browser:
    """The page of an organisation whose contacts are confirmed."""
    office.open(PAGE).press(REQUEST)
    confirm_phone(post)
    confirm_email()
    return office.open(PAGE)


def change(**changed: Any) -> None:
    """Somebody changes the record elsewhere."""

    def save() -> None:
        found = organisation_of()
        organisation.save(ID, replace(found.details, **changed), ADMINISTRATOR, "", "tests")
        editing.end_outdated(ID, "tests")

    act(save)


def waiting_for(specialist: Account) -> Verification:
    """The open verification, in a specialist's hands."""
    waiting = verification.open_one(ID)
    assert waiting
    assert act(verification.take, waiting, specialist)
    taken = verification.open_one(ID)
    assert taken
    return taken


def return_with(**remarks: str) -> None:
    specialist = enrol("x@izkt.example", Role.SPECIALIST).account
    act(verification.send_back, waiting_for(specialist), specialist, remarks, ADDRESS)


def verify() -> None:
    known = account.find_by_email("v@izkt.example")
    specialist = known or enrol("v@izkt.example", Role.SPECIALIST).account
    act(verification.verify, waiting_for(specialist), specialist, ADDRESS)


def polled(browser: Browser) -> str | None:
    """The address that the page asks again and again while it waits."""
    found = re.search(r'hx-get="([^"]+)" hx-trigger="every', browser.response.text)
    return found[1].replace("&amp;", "&") if found else None


def part(browser: Browser, url: str, name: str) -> Any:
    return browser.ask("get", url, headers={"HX-Request": "true", "HX-Target": f"div#{name}"})


# The list


def test_an_administrator_begins_with_the_list(
    boss: Person, new_browser: Callable[..., Browser]
) -> None:
    office = boss.sign_in(new_browser())
    assert office.path == "/organisations"
    assert office.page.heading == "Организации"
    assert len(office.every("organisation")) == 1
    assert office.named("status") == "Не проверена"
    assert office.named("next-step") == "запросите подтверждение"
    assert {ID in office, LOMOVA.inn in office} == {True}
    assert office.follow(NAME).page.heading == NAME


def test_only_the_own_organisations_are_listed(office: Browser, keep: Callable[..., None]) -> None:
    keep("ORG-2", short_name="ООО «Южный тракт»")
    assert len(office.open("/organisations").every("organisation")) == 1
    office.press("Найти", q="Южный")
    assert "Ничего не нашлось" in office.named("nothing")


@pytest.fixture
def many(boss: Person, keep: Callable[..., None]) -> int:
    """So many organisations of the administrator, two pages and a bit."""
    count = 2 * ON_A_PAGE + 3
    for number in range(1, count):
        name = f"ООО «Рейс {number}»"
        keep(f"ORG-1{number:05}", name=name, short_name=name, inn="7800999003")
    with db.writing():
        for number in range(1, count):
            account.join(boss.account, f"ORG-1{number:05}", "tests")
        db.commit()
    return count


def test_a_long_list_has_pages(office: Browser, many: int) -> None:
    seen = []
    office.open("/organisations")
    assert not office.has("first-page")
    while True:
        lines = office.every("organisation")
        assert len(lines) <= ON_A_PAGE
        seen += lines
        if not office.has("next-page"):
            break
        office.follow("Дальше")
    assert len(seen) == len(set(seen)) == many
    office.follow("К началу")
    assert office.every("organisation") == seen[:ON_A_PAGE]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Северный", 1),
        ("север", 1),
        ("ООО «Северный тракт»", 1),
        (LOMOVA.inn, 1),
        (ID, 1),
        ("4217", 1),
        ("рейс 42", 1),
        ("100042", 1),
        ("ооо", 0),
        ("%", 0),
        ("нет такой", 0),
        ("ё" * 300, 0),
        ("\0", 0),
    ],
)
def test_one_field_searches_names_numbers_and_ids(
    office: Browser, many: int, typed: str, found: int
) -> None:
    office.open("/organisations").press("Найти", q=typed)
    assert office.status == 200
    assert len(office.every("organisation")) == found
    if not found:
        assert "Наименование можно ввести не до конца" in office.named("nothing")
        assert office.follow("Показать все организации").has("next-page")


def test_a_search_keeps_its_words_over_pages_and_statuses(office: Browser, many: int) -> None:
    office.open("/organisations").press("Найти", q="рейс")
    assert office.page.form_of("Найти").fields["q"] == "рейс"
    first = office.every("organisation")
    office.follow("Дальше")
    assert office.page.form_of("Найти").fields["q"] == "рейс"
    assert not set(office.every("organisation")) & set(first)
    office.follow("Не проверена")
    assert office.page.form_of("Найти").fields == {"q": "рейс", "status": "unverified"}
    assert office.every("organisation") == first
    office.follow("Проверена")
    assert "Ищем среди организаций с одним статусом" in office.named("nothing")
    assert office.follow("Искать среди всех").every("organisation") == first


def test_a_status_narrows_the_list(office: Browser, many: int, post: Post) -> None:
    confirmed(office, post).press(SUBMIT)
    office.open("/organisations").follow("Требует проверки")
    assert len(office.every("organisation")) == 1
    assert office.named("next-step") == "ждёт специалиста"
    url = polled(office)
    assert url
    specialist = enrol("v@izkt.example", Role.SPECIALIST).account
    waiting = waiting_for(specialist)
    assert office.ask("get", url).status_code == 200, "it was taken meanwhile"
    office.open("/organisations?status=submitted")
    assert office.named("next-step") == "данные проверяет специалист"
    act(verification.release, waiting, specialist)
    verify()
    assert "с таким статусом сейчас нет" in office.open(office_path(office)).named("nothing")
    office.open("/organisations?status=verified")
    assert office.named("status") == "Проверена"
    assert office.follow("Все").has("next-page")


def office_path(office: Browser) -> str:
    return str(office.response.request.full_path)


def test_the_list_says_what_comes_next(
    office: Browser, boss: Person, post: Post, time: Time
) -> None:
    def next_step() -> str:
        return office.open("/organisations").named("next-step")

    assert next_step() == "запросите подтверждение"
    office.open(PAGE).press(REQUEST)
    assert next_step() == "ждём ответственное лицо"
    time.passes(days=7)
    boss.sign_in(office)
    assert next_step() == "срок ссылки истёк, запросите ещё раз"
    office.open(PAGE).press(AGAIN)
    deliver_due("email", Broken(Reason.REFUSED, permanent=True))
    assert next_step() == "письмо не доставлено"
    time.passes(minutes=2)
    office.open(PAGE).press(AGAIN)
    act(confirmation.report, load(open_id()), {}, "Всё неверно.", ADDRESS)
    assert next_step() == "сообщили об ошибке"
    time.passes(minutes=2)
    office.open(PAGE).press("Запросить без исправлений")
    confirm_phone(post)
    confirm_email()
    assert next_step() == "отправьте на проверку"


@pytest.mark.parametrize("query", ["status=open", "status=Verified", "status=%00"])
def test_a_status_that_is_none_is_not_there(office: Browser, query: str) -> None:
    assert office.open(f"/organisations?{query}").status == 404


@pytest.mark.parametrize("after", ["ORG-9", "я", "%00", "A" * 3000])
def test_behind_the_end_there_is_a_way_back(office: Browser, after: str) -> None:
    office.open(f"/organisations?after={after}")
    assert office.status == 200
    assert "Дальше организаций нет" in office.text or office.every("organisation")
    assert office.has("first-page")


def test_the_list_looks_again_while_others_have_the_next_step(office: Browser, post: Post) -> None:
    office.open("/organisations")
    assert polled(office) is None
    office.open(PAGE).press(REQUEST)
    office.open("/organisations")
    url = polled(office)
    assert url
    assert part(office, url, "list").status_code == 204
    confirm_phone(post)
    answer = part(office, url, "list")
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="list"')
    confirm_email()
    assert "отправьте на проверку" in part(office, url, "list").text


def test_the_list_asks_the_database_as_often_for_one_row_as_for_fifty(
    office: Browser, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    run = db._run

    def count(prepared: Any, parameters: Any) -> Any:
        asked.append(prepared)
        return run(prepared, parameters)

    monkeypatch.setattr(db, "_run", count)
    counts = []
    for url in ("/organisations?q=4217", "/organisations?q=рейс"):
        asked.clear()
        office.open(url)
        counts.append(len(asked))
    assert len(office.every("organisation")) == ON_A_PAGE
    assert abs(counts[0] - counts[1]) <= 1  # when the session was seen is written down at times


# One organisation


def test_the_page_says_how_the_organisation_stands(office: Browser) -> None:
    office.open(PAGE)
    assert office.named("status") == "Не проверена"
    assert "Пользователи не видят операционную часть" in office.named("status-since")
    assert language.moment(organisation_of().status_since) in office.named("status-since")
    assert office.named("responsible") == "Ломова Ирина Васильевна, Главный механик"
    assert office.named("phone-status") == "не подтверждён"
    assert office.named("email-status") == "не подтверждён"
    assert office.named("request") == "ещё не отправляли"
    assert office.named("organisation-id") == ID
    assert office.named("legal_address") == LOMOVA.legal_address
    assert "Подтверждение телефона и email" in office.named("steps")
    assert "Запросите его у ответственного лица" in office.named("steps")
    assert not office.has("letter")
    assert polled(office) is None, "nobody else has the next step"


def test_what_is_missing_is_said_before_and_after_the_press(office: Browser, post: Post) -> None:
    office.open(PAGE)
    must = "Перед отправкой на проверку ответственное лицо должно подтвердить"
    sentence = f"{must} номер телефона и email."
    assert office.named("conditions") == sentence
    office.press(SUBMIT)
    assert office.status == 409
    assert office.named("error") == f"Не отправлено. {sentence}"
    assert not office.has("conditions"), "it is said once"
    assert office.response.text.count('id="conditions"') == 1, "the button still points at it"
    office.press(REQUEST)
    confirm_phone(post)
    office.open(PAGE)
    assert office.named("conditions") == f"{must} email."
    confirm_email()
    assert not office.open(PAGE).has("conditions")
    assert organisation_of().status is Status.UNVERIFIED


def test_the_way_to_verified(office: Browser, post: Post) -> None:
    office.open(PAGE).press(REQUEST)
    assert office.path == PAGE
    assert "ссылка действует до" in office.named("request")
    assert office.named("letter") == f"отправляем на {LOMOVA.email}"
    assert post.letters(LOMOVA.email)
    assert "передано почтовому серверу" in office.open(PAGE).named("letter")
    confirm_phone(post)
    confirm_email()
    office.open(PAGE)
    assert office.named("phone-status").startswith("подтверждён ")
    assert "выполнен" in office.named("request")
    assert not {REQUEST, AGAIN, CANCEL} & office.page.buttons.keys()
    office.press(SUBMIT)
    assert (office.status, office.path) == (200, PAGE)
    assert office.named("status") == "Требует проверки"
    assert "Ждёт специалиста" in office.named("steps")
    specialist = enrol("v@izkt.example", Role.SPECIALIST).account
    waiting = waiting_for(specialist)
    assert "Специалист проверяет данные" in office.open(PAGE).named("steps")
    act(verification.release, waiting, specialist)
    office.open(PAGE)
    assert SUBMIT not in office.page.buttons
    verify()
    office.open(PAGE)
    assert office.named("status") == "Проверена"
    assert "Пользователи видят операционную часть" in office.named("status-since")
    assert "Делать ничего не нужно" in office.named("steps")


def test_an_edit_blocks_until_it_is_sent_again(office: Browser, post: Post, time: Time) -> None:
    confirmed(office, post).press(SUBMIT)
    verify()
    time.passes(minutes=2)
    change(phone="+79215550199")
    office.open(PAGE)
    assert office.named("status") == "Изменение реквизитов"
    assert "не видят операционную часть" in office.named("status-since")
    assert office.has("to-discard")
    assert office.named("conditions").endswith("должно подтвердить номер телефона.")
    assert office.named("email-status").startswith("подтверждён ")
    office.press(REQUEST)
    confirm_phone(post)
    office.open(PAGE).press(RESUBMIT)
    assert office.named("status") == "Требует повторной проверки"
    assert "Пользователи видят операционную часть" in office.named("status-since")
    verify()
    assert office.open(PAGE).named("status") == "Проверена"


def test_remarks_of_a_specialist_stand_row_by_row(office: Browser, post: Post) -> None:
    confirmed(office, post).press(SUBMIT)
    return_with(legal_address="Нет офиса.", **{"": "Пришлите устав <b>."})
    office.open(PAGE)
    assert office.named("status") == "Не проверена"
    assert office.every("remark") == [
        "Юридический адресНет офиса.",
        "В целомПришлите устав <b>.",
    ]
    assert "Исправьте замечания" in office.named("steps")
    assert office.named("unmended") == "По замечаниям пока ничего не изменено."
    assert office.open("/organisations").named("next-step") == "исправьте замечания"
    change(legal_address="163000, г. Архангельск, ул. Поморская, д. 12, офис 3")
    assert office.open(PAGE).every("remark")[0].endswith("изменено")
    assert "Реквизиты изменены" in office.named("steps")
    assert not office.has("unmended")
    assert office.open("/organisations").named("next-step") == "отправьте на проверку"
    office.open(PAGE)
    office.press(SUBMIT)
    assert office.named("status") == "Требует проверки"
    assert not office.has("remarks")


def test_what_was_changed_back_is_still_to_be_mended(office: Browser, post: Post) -> None:
    confirmed(office, post).press(SUBMIT)
    verify()
    change(legal_address="163000, г. Архангельск, ул. Поморская, д. 12, офис 3")
    office.open(PAGE).press(RESUBMIT)
    return_with(legal_address="Нет офиса.")
    change(legal_address="163000, г. Архангельск, ул. Поморская, д. 12, офис 4")
    assert office.open("/organisations").named("next-step") == "отправьте на проверку"
    change(legal_address="163000, г. Архангельск, ул. Поморская, д. 12, офис 3")
    assert office.open("/organisations").named("next-step") == "исправьте замечания"
    assert office.open(PAGE).named("unmended") == "По замечаниям пока ничего не изменено."


def test_remarks_come_before_a_reported_error_as_they_do_for_operators(
    office: Browser, post: Post, ask: Any
) -> None:
    confirmed(office, post).press(SUBMIT)
    verify()
    change(legal_address="163000, г. Архангельск, ул. Поморская, д. 12, офис 3")
    office.open(PAGE).press(RESUBMIT)
    return_with(legal_address="Нет офиса.")
    change(phone="+79215550199")
    with db.reading():
        request = confirmation.find(ask())
    assert request
    act(confirmation.report, request, {"phone": ""}, "", "10.20.4.17")
    assert office.open("/organisations").named("next-step") == "исправьте замечания"
    with db.reading():
        found = organisation.find(ID)
        assert found
        waits = block.waits_for(found)
    assert waits
    assert waits.step is block.Step.REMARKS


def test_what_is_right_can_be_sent_again_unchanged(office: Browser, post: Post) -> None:
    confirmed(office, post).press(SUBMIT)
    return_with(inn="Проверьте.")
    office.open(PAGE).press(SUBMIT)
    assert office.named("status") == "Требует проверки"


def test_an_error_report_leads_to_its_corrections(office: Browser, ask: Any) -> None:
    id = ask()
    act(confirmation.report, load(id), {"position": "Директор"}, "", ADDRESS)
    office.open(PAGE)
    assert "сообщило об ошибке" in office.named("request")
    assert office.page.links["К исправлениям"] == f"{PAGE}/corrections"
    change(position="Директор")
    assert not office.open(PAGE).has("reported")


def test_an_edit_that_was_begun_is_not_forgotten(office: Browser, other_office: Browser) -> None:
    mine = account.find_by_email(ADMINISTRATOR)
    assert mine
    act(keep_draft, mine.id)
    assert "изменения ещё не действуют" in office.open(PAGE).named("draft")
    assert not other_office.open(PAGE).has("draft"), "everybody has their own"


def keep_draft(account_id: str) -> None:
    found = organisation_of()
    began = organisation.start_of(found)
    values = {**began.values, "position": "Директор"}
    organisation.keep_draft(found.id, account_id, began, values, is_another_person=False)


# The request


class Broken:
    """A gateway that takes nothing."""

    def __init__(self, reason: Reason, *, permanent: bool) -> None:
        self.trouble = Trouble(reason, permanent=permanent)

    def send(self, _message: Outgoing) -> str:
        raise self.trouble

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("reason", "permanent", "words"),
    [
        (Reason.UNREACHABLE, False, "Почтовый сервер не отвечает. Портал пробует снова сам"),
        (Reason.BUSY, False, "Почтовый сервер просит подождать. Портал пробует снова сам"),
        (Reason.REFUSED, True, "Почтовый сервер не принял письмо на i.lomova"),
        (Reason.MISCONFIGURED, True, "Позвоните в поддержку"),
    ],
)
def test_a_letter_in_trouble_says_what_to_do(
    office: Browser, reason: Reason, permanent: bool, words: str
) -> None:
    office.open(PAGE).press(REQUEST)
    deliver_due("email", Broken(reason, permanent=permanent))
    office.open(PAGE)
    assert words in office.named("letter")
    assert ("не доставлено" in office.named("letter")) is True
    assert not office.has("undelivered"), "it is said once"


def in_vain(reason: Reason, time: Time) -> None:
    """Try letters for four hours, each time with that end."""
    deliver_due("email", Broken(reason, permanent=False))
    time.passes(hours=4)
    deliver_due("email", Broken(reason, permanent=False))


def test_a_letter_that_was_tried_for_hours(office: Browser, boss: Person, time: Time) -> None:
    office.open(PAGE).press(REQUEST)
    in_vain(Reason.UNREACHABLE, time)
    boss.sign_in(office).open(PAGE)
    assert "не удалось передать за 4 часа" in office.named("letter")


def test_of_a_letter_that_may_have_left_nothing_is_claimed(
    office: Browser, boss: Person, time: Time
) -> None:
    office.open(PAGE).press(REQUEST)
    in_vain(Reason.UNKNOWN, time)
    boss.sign_in(office).open(PAGE)
    assert "Неизвестно, ушло ли письмо" in office.named("letter")
    assert office.named("letter").startswith("возможно, не дошло")
    assert "не доставлено" not in office.named("letter")
    assert office.open("/organisations").named("next-step") == "письмо, возможно, не дошло"


def test_messages_that_never_left_are_warned_of(office: Browser, post: Post) -> None:
    office.open(PAGE).press(REQUEST)
    post.deliver()
    act(confirmation.request_email_link, load(open_id()), ADDRESS)
    deliver_due("email", Broken(Reason.REFUSED, permanent=True))
    office.open(PAGE)
    assert office.named("undelivered").startswith(
        f"Не доставлено: Письмо «Подтверждение email», {LOMOVA.email}."
    )
    assert "исправьте его в данных организации" in office.named("undelivered")
    confirm_phone(post)
    act(confirmation.request_code, load(open_id()), ADDRESS)
    assert office.open(PAGE).has("undelivered")
    office.press(CANCEL)
    assert office.open(PAGE).has("undelivered")


def test_a_warning_ends_with_what_it_was_about(office: Browser, post: Post, time: Time) -> None:
    office.open(PAGE).press(REQUEST)
    post.deliver()
    act(confirmation.request_code, load(open_id()), ADDRESS)
    deliver_due("sms", Broken(Reason.REFUSED, permanent=True))
    office.open(PAGE)
    assert office.named("undelivered").startswith("Не доставлено: СМС с кодом, +7 921 555-01-47.")
    time.passes(minutes=2)
    act(confirmation.send_code_again, load(open_id()), ADDRESS)
    act(confirmation.enter_code, load(open_id()), post.code(), ADDRESS)
    assert not office.open(PAGE).has("undelivered")


def test_a_request_can_be_renewed_after_a_minute(office: Browser, post: Post, time: Time) -> None:
    office.open(PAGE).press(REQUEST)
    first = open_id()
    office.press(AGAIN)
    assert office.status == 429
    assert re.search(r"через (1:00|0:5\d)", office.named("error"))
    assert 55 <= int(office.response.headers["Retry-After"]) <= 60
    assert open_id() == first
    time.passes(seconds=61)
    office.open(PAGE).press(AGAIN)
    assert office.status == 200
    assert load(first).standing is Standing.RETIRED
    assert len(post.letters(LOMOVA.email)) == 1, "the older letter was taken back"


def test_where_the_letter_is_stays_when_the_link_has_ended(
    office: Browser, boss: Person, post: Post, time: Time
) -> None:
    office.open(PAGE).press(REQUEST)
    post.deliver()
    time.passes(days=7)
    boss.sign_in(office).open(PAGE)
    assert "срок ссылки истёк" in office.named("request")
    assert office.named("letter").startswith("передано почтовому серверу")
    assert "спам" not in office.named("letter"), "its link would not work"
    assert CANCEL not in office.page.buttons


def test_why_the_letter_never_arrived_stays_when_the_link_has_ended(
    office: Browser, boss: Person, time: Time
) -> None:
    office.open(PAGE).press(REQUEST)
    deliver_due("email", Broken(Reason.REFUSED, permanent=True))
    time.passes(days=7)
    boss.sign_in(office).open(PAGE)
    assert "Почтовый сервер не принял письмо" in office.named("letter")
    assert CANCEL not in office.page.buttons


def test_two_presses_ask_once(office: Browser, post: Post, time: Time) -> None:
    press_twice(office.open(PAGE), REQUEST)
    assert (office.status, office.path) == (200, PAGE)
    assert not office.has("error")
    assert requests_made() == 1
    time.passes(minutes=2)
    press_twice(office.open(PAGE), AGAIN)
    assert (office.status, office.path) == (200, PAGE)
    assert requests_made() == 2
    assert len(post.letters(LOMOVA.email)) == 1


def test_two_presses_cancel_once(office: Browser) -> None:
    press_twice(office.open(PAGE).press(REQUEST), CANCEL)
    assert (office.status, office.path) == (200, PAGE)
    assert not office.has("error")
    assert "Запрос отозван" in office


def test_two_presses_send_once(office: Browser, post: Post) -> None:
    press_twice(confirmed(office, post), SUBMIT)
    assert (office.status, office.path) == (200, PAGE)
    assert office.named("status") == "Требует проверки"
    assert not office.has("error")


def test_a_press_that_comes_later_is_another_one(office: Browser, time: Time) -> None:
    page = office.open(PAGE).page
    office.press(REQUEST)
    time.passes(seconds=11)
    office.page = page
    office.press(REQUEST)
    assert office.status == 409
    assert "уже обновили" in office.named("error")
    assert requests_made() == 1


def test_ten_requests_a_day_are_enough(office: Browser, ask: Any, time: Time) -> None:
    time.begins_a_minute()
    for _ in range(10):
        ask()
        time.passes(minutes=2)
    office.open(PAGE).press(AGAIN)
    assert office.status == 429
    assert "За сутки отправлено слишком много запросов" in office.named("error")
    assert language.moment(clock.now() + timedelta(hours=23, minutes=40)) in office.named("error")


def test_just_now_is_said_of_the_last_request_alone(
    boss: Person, office: Browser, ask: Any, time: Time
) -> None:
    time.begins_a_minute()
    for _ in range(10):
        ask()
        time.passes(minutes=2)
    time.passes(hours=23, minutes=39)  # and signing in takes half a minute
    boss.sign_in(office).open(PAGE).press(AGAIN)
    assert office.status == 429
    assert "За сутки отправлено слишком много запросов" in office.named("error")


def test_a_request_that_was_taken_back_is_dead(
    office: Browser, post: Post, browser: Browser
) -> None:
    office.open(PAGE).press(REQUEST)
    link = post.link()
    assert browser.open(link).status == 200
    office.open(PAGE).press(CANCEL)
    assert (office.status, office.path) == (200, PAGE)
    assert "отозван" in office.named("request")
    assert AGAIN in office.page.buttons
    for url in (link, browser.path):
        browser.open(url)
        assert browser.status == 410
        assert browser.page.heading == "Администратор отозвал запрос"
        assert browser.page.links[ADMINISTRATOR] == f"mailto:{ADMINISTRATOR}"


def test_a_window_of_the_responsible_person_learns_that_it_was_taken_back(
    office: Browser, post: Post, browser: Browser
) -> None:
    office.open(PAGE).press(REQUEST)
    browser.open(post.link()).press("Подтвердить номер телефона")
    url = polled(browser)
    assert url
    office.open(PAGE).press(CANCEL)
    assert "Администратор отозвал запрос" in part(browser, url, "confirmation").text
    browser.press("Подтвердить", code="123456")
    assert browser.status == 409
    assert browser.page.heading == "Администратор отозвал запрос"


# Old pages, two at once, others' objects


def test_a_press_on_an_older_request_does_nothing(
    office: Browser, other_office: Browser, time: Time
) -> None:
    office.open(PAGE).press(REQUEST)
    other_office.open(PAGE)
    time.passes(minutes=2)
    office.open(PAGE).press(AGAIN)
    newer = open_id()
    time.passes(minutes=2)
    for button, words in ((CANCEL, "отозвать уже нельзя"), (AGAIN, "уже обновили")):
        other = stale_page(other_office, button)
        assert other.status == 409
        assert words in other.named("error")
        assert open_id() == newer


def stale_page(browser: Browser, button: str) -> Browser:
    """Press a button of the page before, and come back to it."""
    page = browser.page
    browser.press(button)
    answered, browser.page = browser.page, page
    browser.page.named, browser.page.all_named = answered.named, answered.all_named
    return browser


def test_two_administrators_ask_at_once(office: Browser, other_office: Browser) -> None:
    office.open(PAGE)
    other_office.open(PAGE)
    office.press(REQUEST)
    other_office.press(REQUEST)
    assert other_office.status == 409
    assert "ссылка действует до" in other_office.named("request")
    assert requests_made() == 1


def requests_made() -> int:
    with db.reading():
        return len(db.all(events.select().where(events.c.name == "confirmation.requested")))


def test_two_administrators_send_at_once(
    office: Browser, other_office: Browser, post: Post
) -> None:
    confirmed(office, post)
    other_office.open(PAGE)
    office.press(SUBMIT)
    other_office.press(SUBMIT)
    assert other_office.status == 409
    assert other_office.named("status") == "Требует проверки"
    assert other_office.has("error")


@pytest.mark.parametrize("button", [REQUEST, SUBMIT])
def test_a_page_with_another_record_does_nothing(office: Browser, button: str) -> None:
    office.open(PAGE)
    change(position="Директор")
    office.press(button)
    assert office.status == 409
    assert office.named("error") == "Данные организации изменились: вот как теперь."
    assert "Директор" in office.named("responsible")
    assert requests_made() == 0
    office.press(REQUEST)
    assert office.status == 200, "the page that was answered is a new one"


def test_what_was_asked_for_is_not_cancelled_on_another_record(office: Browser) -> None:
    office.open(PAGE).press(REQUEST)
    change(position="Директор")
    office.press(CANCEL)
    assert office.status == 409
    assert "данные изменились" in office.named("request")


def test_there_is_nothing_to_ask_for_when_both_are_confirmed(office: Browser, post: Post) -> None:
    office.open(PAGE).press(REQUEST)
    page = office.open(PAGE)
    confirm_phone(post)
    confirm_email()
    page.press(AGAIN)
    assert page.status == 409
    assert "уже подтверждены" in page.named("error")


@pytest.mark.parametrize("record", ["", "x", "-1", "9" * 40, "\0"])
@pytest.mark.parametrize("step", ["request", "cancel", "submit"])
def test_a_forged_record_does_nothing(office: Browser, step: str, record: str) -> None:
    office.open(PAGE)
    assert office.send(f"{PAGE}/{step}", record=record).status == 409
    assert requests_made() == 0


def test_a_form_of_another_session_is_shown_again(office: Browser) -> None:
    office.open(PAGE)
    for step in ("request", "cancel", "submit"):
        answer = office.ask("post", f"{PAGE}/{step}", data={"csrf_token": "forged"})
        assert answer.status_code == 422
        assert "Страница устарела" in answer.text
    assert requests_made() == 0


@pytest.mark.parametrize("id", ["ORG-2", "ORG-9", "%00", "x" * 300, "ё"])
def test_what_is_not_ones_own_is_not_there_and_noted(
    office: Browser, keep: Callable[..., None], id: str
) -> None:
    keep("ORG-2")
    office.open("/devices")
    assert office.open(f"/organisations/{id}").status == 404
    for step in ("request", "cancel", "submit"):
        office.open("/devices")
        assert office.send(f"/organisations/{id}/{step}", record="2").status == 404
    with db.reading():
        noted = db.all(
            events.select().where(events.c.name == "access.refused").order_by(events.c.id)
        )
    assert len(noted) == 4
    assert requests_made() == 0


# While somebody else has the next step


def test_the_page_follows_what_others_do(office: Browser, post: Post) -> None:
    office.open(PAGE).press(REQUEST)
    url = polled(office)
    assert url
    assert url.startswith(f"{PAGE}?seen=")
    assert part(office, url, "organisation").status_code == 204
    post.deliver()
    answer = part(office, url, "organisation")
    assert "передано почтовому серверу" in answer.text
    assert answer.text.lstrip().startswith('<div id="organisation"')
    url = polled(office.open(PAGE))
    confirm_phone(post)
    assert url
    assert "подтверждён" in part(office, url, "organisation").text
    confirm_email()
    assert polled(office.open(PAGE)) is None, "the next step is one's own"
    office.press(SUBMIT)
    url = polled(office)
    assert url
    assert part(office, url, "organisation").status_code == 204
    verify()
    assert "Делать ничего не нужно" in part(office, url, "organisation").text
    assert polled(office.open(PAGE)) is None


def test_what_was_done_is_said_once(office: Browser, post: Post) -> None:
    office.open(PAGE).press(REQUEST)
    assert office.named("done") == "Запрос отправлен."
    url = polled(office)
    assert url
    assert part(office, url, "organisation").status_code == 204
    confirm_phone(post)
    assert "Запрос отправлен." not in part(office, url, "organisation").text
    confirm_email()
    assert not office.open(f"{PAGE}?done=requested").has("done"), "it is over"
    office.open(PAGE).press(SUBMIT)
    assert office.named("done") == "Отправлено на проверку."
    assert not office.open(PAGE).has("done")
    assert not office.open(f"{PAGE}?done=cancelled").has("done"), "it never was"
    for word in ("", "x", "<b>", "APPLIED"):
        assert not office.open(f"{PAGE}?done={word}").has("done")


def test_the_end_of_a_link_is_seen_without_reloading(
    office: Browser, time: Time, boss: Person
) -> None:
    office.open(PAGE).press(REQUEST)
    time.passes(days=6, hours=23, minutes=50)
    boss.sign_in(office).open(PAGE)
    url = polled(office)
    assert url
    time.passes(minutes=15)
    assert "срок ссылки истёк" in part(office, url, "organisation").text


def test_looking_again_keeps_no_session_alive(office: Browser, time: Time) -> None:
    office.open(PAGE).press(REQUEST)
    url = polled(office)
    assert url

    def seen_at() -> list[Any]:
        with db.reading():
            return [row.seen_at for row in db.all(sessions.select())]

    before = seen_at()
    time.passes(minutes=10)
    assert part(office, url, "organisation").status_code == 204
    assert part(office, "/organisations?seen=x", "list").status_code == 200
    assert seen_at() == before
    time.passes(minutes=21)
    assert part(office, url, "organisation").headers["HX-Redirect"] == "/signin?ended="
