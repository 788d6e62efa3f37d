"""Editing an organisation, with scripts off: drafts, comparisons, corrections, discarding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from portal import account, confirmation, limits, organisation, verification
from portal.account import Role
from portal.confirmation import Standing
from portal.database import db
from portal.organisation import Details, Organisation, Status
from portal.verification import Sent
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.lost_device import at_once, events, everything, press_twice, tab
from tests.people import Person, act, enrol
from tests.verifying import report

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

ID, OTHER_ID = "ORG-004217", "ORG-2"
HOME = f"/organisations/{ID}"
EDIT, DRAFT, CORRECTIONS, DISCARD = (
    f"{HOME}/{each}" for each in ("edit", "draft", "corrections", "discard")
)
SHOW = "Показать, что изменится"
APPLY = "Применить изменения"
BACK = "Вернуться к правке"
FORGET = "Удалить черновик"
MERGE = "Продолжить с выбранным"
TAKE = "Взять в черновик"
RESTORE = "Вернуть реквизиты"
OTHER_PHONE, SHOWN_PHONE = "+79215550148", "+7 921 555-01-48"
SOKOLOVA = "Соколова Анна Петровна"
ALONE = {"inn": "772817289210", "ogrn": "300100000000030", "kpp": ""}


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    """The administrator of the organisation."""
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA)


@pytest.fixture
def office(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    """The administrator's browser, signed in."""
    return boss.come_in(new_browser("10.20.4.2"))


@pytest.fixture
def colleague(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    """Another administrator's browser, signed in."""
    other = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="Белов Борис")
    return other.come_in(new_browser("10.20.4.3"))


@pytest.fixture
def users(boss: Person) -> list[Person]:
    """Three operational users; one more is suspended."""
    roles = (Role.OPERATOR, Role.CONTROLLER, Role.MANAGER)
    people = [enrol(f"u{place}@sever-trakt.example", role) for place, role in enumerate(roles)]
    gone = enrol("gone@sever-trakt.example", Role.OPERATOR)
    act(account.suspend, gone.account, boss.account, "")
    return people


def now(id: str = ID) -> Organisation:
    with db.reading():
        found = organisation.find(id)
    assert found
    return found


def proved() -> set[str]:
    with db.reading():
        return confirmation.proved(now())


def draft_of(person: Person) -> Any:
    with db.reading():
        return organisation.draft_of(ID, person.account.id)


def confirm(*kinds: str) -> None:
    """What the responsible person does, without the pages."""
    known = now()
    with db.writing():
        id = confirmation.request(known, "tests")
        assert id
        for kind in kinds:
            found = confirmation.find(id)
            assert found
            confirmation.course.prove(found, kind, "10.20.4.17")
        db.commit()


def verified(boss: Person) -> Person:
    """Bring the organisation to «Проверена»; returns the specialist."""
    specialist = enrol("specialist@izkt.example", Role.SPECIALIST)
    confirm("phone", "email")
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    decide(specialist)
    return specialist


def decide(specialist: Person) -> None:
    assert act(verification.take, waiting(), specialist.account)
    act(verification.verify, waiting(), specialist.account, "")


def waiting() -> Any:
    with db.reading():
        return verification.open_one(ID)


def edit(browser: Browser, **typed: str) -> Browser:
    """Type something, as far as the comparison."""
    return browser.open(EDIT).press(SHOW, **typed)


# The whole way


def test_a_phone_is_changed_and_nobody_is_surprised(
    boss: Person, office: Browser, users: list[Person], post: Post
) -> None:
    verified(boss)
    office.open(HOME).follow("Изменить реквизиты")
    assert office.page.heading == "Изменить реквизиты"
    assert office.page.form_of(SHOW).fields["phone"] == "+7 921 555-01-47"
    office.press(SHOW, phone="8 (921) 555-01-48")
    assert office.path == DRAFT
    assert office.page.heading == "Что изменится"
    assert "Номер мобильного телефона +7 921 555-01-47 +7 921 555-01-48" in office.named(
        "change-phone"
    )
    assert len([name for name in office.page.named if name.startswith("change-")]) == 1
    assert office.named("status-after") == "Статус станет «Изменение реквизитов»."
    assert "Потеряют доступ к операционной части: 3" in office.named("users-blocked")
    assert office.named("confirm-again") == "Подтвердить заново: телефон."
    assert now().status is Status.VERIFIED, "nothing has happened yet"
    assert now().details == LOMOVA

    office.press(APPLY)
    assert office.status == 200
    assert office.path == HOME
    assert now().details == replace(LOMOVA, phone=OTHER_PHONE)
    assert now().status is Status.EDITING
    assert proved() == {"email"}
    assert draft_of(boss) is None
    assert events("record.changed")[-1].actor == boss.account.id
    assert events("record.changed")[-1].address == "10.20.4.2"


def test_a_draft_waits_until_one_comes_back(
    boss: Person, office: Browser, new_browser: Callable[..., Browser], time: Time
) -> None:
    edit(office, phone=OTHER_PHONE, position="Директор").press("Выйти")
    time.passes(days=3)
    later = boss.sign_in(new_browser("10.20.4.9")).open(EDIT)
    fields = later.page.form_of(SHOW).fields
    assert (fields["phone"], fields["position"]) == (SHOWN_PHONE, "Директор")
    later.open(DRAFT).follow(BACK).press(SHOW, position="Главный инженер")
    assert "Главный инженер" in later.named("change-position")
    later.press(APPLY)
    assert now().details == replace(LOMOVA, phone=OTHER_PHONE, position="Главный инженер")


def test_a_draft_is_thrown_away(boss: Person, office: Browser) -> None:
    edit(office, phone=OTHER_PHONE).press(FORGET)
    assert office.path == HOME
    assert draft_of(boss) is None
    assert office.open(EDIT).page.form_of(SHOW).fields["phone"] == "+7 921 555-01-47"
    assert FORGET not in office.page.buttons
    assert office.open(DRAFT).path == EDIT, "there is none to look at"
    assert now().details == LOMOVA


# What is typed


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("inn", "2901999015", "Контрольные цифры ИНН не сходятся"),
        ("inn", "29019990", "10 или 12 цифр"),
        ("inn", "ИНН", "только цифры"),
        ("ogrn", "1022900999108", "Контрольная цифра ОГРН не сходится"),
        ("ogrn", "300100000000030", "не одного лица"),
        ("kpp", "29010100", "КПП состоит из 9 знаков"),
        ("kpp", "", "КПП пуст только у предпринимателей"),
        ("phone", "8 495 739-70-00", "мобильный"),
        ("phone", "555", "Такого номера нет"),
        ("phone", "", "Введите номер полностью"),
        ("email", "i.lomova", "Введите адрес полностью"),
        ("administrator_email", "", "Введите адрес полностью"),
        ("administrator_email", "a@b@c", "Введите адрес полностью"),
        ("networks", "10.20.4.0/24,10.20.8.0/24", "через пробел"),
        ("networks", "10.20.4.1/24", "через пробел"),
        ("networks", "0.0.0.0/0", "слишком велика"),
        ("networks", "::/1 8000::/1", "слишком велика"),
        ("name", "", "Заполните поле"),
        ("name", "я" * 501, "не больше 500"),
        ("short_name", "=HYPERLINK(A1)", "знака «=»"),
        ("last_name", " ", "Заполните поле"),
        ("position", "Ме\u200bханик", "непечатаемые"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    boss: Person, office: Browser, field: str, typed: str, said: str
) -> None:
    others = {"legal_address": "г. Архангельск, «новый» адрес", field: typed}
    edit(office, **others)
    assert office.status == 422
    assert said in office.fault(field)
    assert office.page.faults.keys() == {field}
    assert "Исправьте отмеченное" in office.named("notice")
    fields = office.page.form_of(SHOW).fields
    assert {name: fields[name] for name in others} == others, "what was typed stays"
    assert draft_of(boss) is None
    assert now().details == LOMOVA
    right = {"phone": OTHER_PHONE} | {field: organisation.start_of(now()).values[field]}
    assert office.press(SHOW, **right).path == DRAFT


def test_everything_that_is_wrong_is_said_at_once(office: Browser) -> None:
    edit(office, inn="1", phone="", email="x", networks="/", last_name="Петрова")
    assert office.page.faults.keys() == {"inn", "phone", "email", "networks", "person"}


def test_an_address_pasted_in_two_lines_is_one(office: Browser) -> None:
    edit(office, legal_address="163000, г. Архангельск,\r\nул. Новая, д. 1").press(APPLY)
    assert now().details.legal_address == "163000, г. Архангельск, ул. Новая, д. 1"
    assert edit(office, position="Директор\r\nзавода").status == 422


def test_an_organisation_becomes_a_sole_proprietor(office: Browser) -> None:
    edit(office, inn=ALONE["inn"])
    assert office.page.faults.keys() == {"kpp", "ogrn"}
    assert "У предпринимателя КПП нет" in office.fault("kpp")
    office.press(SHOW, **ALONE)
    assert office.path == DRAFT
    office.press(APPLY)
    assert now().details == replace(LOMOVA, **ALONE)


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"phone": "8 921 555-01-47"},
        {"phone": "79215550147", "name": f"  {LOMOVA.name} "},
        {"last_name": LOMOVA.last_name, "person": "same"},
        {"email": "i.lomova@SEVER-TRAKT.example"},
    ],
)
def test_who_changed_nothing_is_told_so(
    boss: Person, office: Browser, typed: dict[str, str]
) -> None:
    edit(office, **typed)
    assert office.status == 422
    assert "Вы ничего не изменили" in office.named("notice")
    assert draft_of(boss) is None


def test_who_restores_every_value_has_no_draft_any_more(boss: Person, office: Browser) -> None:
    edit(office, phone=OTHER_PHONE, position="Директор").follow(BACK)
    office.press(SHOW, phone=LOMOVA.phone, position=LOMOVA.position)
    assert office.status == 422
    assert office.named("notice") == "Вы вернули всё как записано, поэтому черновик удалён."
    assert draft_of(boss) is None
    assert FORGET not in office.page.buttons
    assert office.open(DRAFT).path == EDIT


def test_an_unchanged_form_of_an_older_page_deletes_no_draft(boss: Person, office: Browser) -> None:
    office.open(EDIT)
    edit(tab(office), phone=OTHER_PHONE)
    office.press(SHOW)
    assert "Вы ничего не изменили" in office.named("notice")
    assert draft_of(boss).details.phone == OTHER_PHONE


def test_what_another_window_kept_meanwhile_is_not_lost(boss: Person, office: Browser) -> None:
    second = tab(office)
    for window in (office, second):
        window.open(EDIT)
    office.press(SHOW, phone=OTHER_PHONE)
    second.press(SHOW, email="new@sever-trakt.example")
    assert second.status == 409
    for faulty in ({"csrf_token": "old"}, {"email": "кириллица"}):
        third = tab(office).open(EDIT)
        third.page.form_of(SHOW).fields.pop("draft")
        third.press(SHOW, position="Механик", **faulty)
        assert third.status == 422
        third.press(SHOW, email=LOMOVA.email)
        assert third.status == 409, "what was wrong in between does not show the draft"
    assert "Черновик тем временем сохранили в другом окне" in second.named("notice")
    assert second.page.form_of(SHOW).fields["email"] == "new@sever-trakt.example"
    assert draft_of(boss).details.phone == OTHER_PHONE
    second.press(SHOW)
    assert draft_of(boss).details.email == "new@sever-trakt.example", "it was said, and meant"
    assert draft_of(boss).details.phone == LOMOVA.phone
    office.open(EDIT).press(SHOW, phone=OTHER_PHONE)
    assert office.path.endswith("/draft"), "whoever saw the draft just changes it"


def test_an_old_form_is_shown_again_with_what_was_typed(boss: Person, office: Browser) -> None:
    edit(office, phone=OTHER_PHONE, csrf_token="old")
    assert office.status == 422
    assert "Страница устарела" in office.named("notice")
    assert office.page.form_of(SHOW).fields["phone"] == OTHER_PHONE
    assert draft_of(boss) is None
    office.press(SHOW)
    for button in (APPLY, FORGET):
        office.press(button, csrf_token="old")
        assert office.status == 422
        assert "Страница устарела" in office.named("notice")
    assert now().details == LOMOVA
    office.press(APPLY)
    assert now().details.phone == OTHER_PHONE


# Who is meant


def test_another_name_raises_the_question_who_is_meant(boss: Person, office: Browser) -> None:
    confirm("phone", "email")
    edit(office, last_name="Северная")
    assert office.status == 422
    assert "исправлено написание или это другой человек" in office.fault("person")
    assert office.page.form_of(SHOW).fields["last_name"] == "Северная"
    office.press(SHOW, person="same")
    assert "остаются подтверждёнными" in office.named("confirm-again")
    assert not office.has("another-person")
    assert office.follow(BACK).page.form_of(SHOW).fields["person"] == "same"
    office.press(SHOW, person="other")
    assert office.named("confirm-again") == "Подтвердить заново: телефон и email."
    assert office.has("another-person")
    assert office.named("same-contacts") == (
        f"Телефон и email остались прежние: письмо уйдёт на {LOMOVA.email}."
    )
    assert office.follow(BACK).page.form_of(SHOW).fields["person"] == "other"
    before = now().person
    office.open(DRAFT).press(APPLY)
    assert now().person != before
    assert proved() == set()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"phone": OTHER_PHONE}, f"Email остался прежним: письмо уйдёт на {LOMOVA.email}."),
        (
            {"email": "novaya@sever-trakt.example"},
            "Телефон остался прежним: код в СМС уйдёт на +7 921 555-01-47.",
        ),
        ({"phone": OTHER_PHONE, "email": "novaya@sever-trakt.example"}, ""),
    ],
)
def test_contacts_that_another_person_would_inherit_are_named(
    office: Browser, typed: dict[str, str], words: str
) -> None:
    edit(office, last_name="Северная", person="other", **typed)
    assert office.has("same-contacts") is bool(words)
    assert not words or office.named("same-contacts") == words


@pytest.mark.parametrize(
    "typed", [{"last_name": "ЛОМОВА"}, {"first_name": "ирина"}, {"patronymic": "Викторовна"}]
)
def test_another_case_or_patronymic_raises_no_question(
    office: Browser, typed: dict[str, str]
) -> None:
    assert edit(office, **typed).path == DRAFT


def test_a_letter_yo_raises_no_question(keep: Callable[..., None], office: Browser) -> None:
    keep(last_name="Королева", first_name="Алёна")
    assert edit(office, last_name="Королёва", first_name="Алена").path == DRAFT


def test_a_namesake_may_be_named(office: Browser) -> None:
    confirm("phone", "email")
    edit(office, person="other")
    assert office.named("another-person") == "Ответственное лицо — другой человек."
    assert "телефон и email" in office.named("confirm-again")
    office.press(APPLY)
    assert now().details == LOMOVA
    assert proved() == set()


# What follows


def test_a_phone_confirmed_earlier_is_not_asked_for_again(boss: Person, office: Browser) -> None:
    confirm("phone", "email")
    edit(office, phone=OTHER_PHONE).press(APPLY)
    assert proved() == {"email"}
    edit(office, phone=LOMOVA.phone)
    assert "Подтверждать заново ничего не нужно" in office.named("confirm-again")
    office.press(APPLY)
    assert proved() == {"phone", "email"}


def test_what_was_never_confirmed_is_said_apart(office: Browser) -> None:
    confirm("phone")
    edit(office, phone=OTHER_PHONE)
    assert office.named("confirm-again") == (
        "Подтвердить заново: телефон. Ещё не подтверждено: email."
    )
    edit(office, phone=LOMOVA.phone, position="Директор")
    assert office.named("confirm-again") == ("Ещё не подтверждено: email.")


def test_an_open_request_ends(boss: Person, office: Browser, post: Post) -> None:
    office.open(HOME).press("Запросить подтверждение")
    link = post.link()
    edit(office, position="Директор")
    assert "ссылка из письма перестанет действовать" in office.named("request-ends")
    office.press(APPLY)
    with db.reading():
        last = confirmation.last_request(ID)
    assert last
    assert last.standing is Standing.CHANGED
    assert office.open(link).status == 410


def test_an_edit_takes_back_what_a_specialist_was_to_verify(boss: Person, office: Browser) -> None:
    confirm("phone", "email")
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    edit(office, position="Директор")
    assert office.named("status-after") == "Статус станет «Не проверена»."
    assert "никто не потеряет доступ" in office.named("users-blocked")
    assert "Проверка у специалиста прекратится" in office.named("verification-ends")
    office.press(APPLY)
    assert now().status is Status.UNVERIFIED
    assert waiting() is None


@pytest.mark.parametrize("blocked", [True, False])
def test_nobody_is_blocked_where_nobody_is(boss: Person, office: Browser, blocked: bool) -> None:
    if blocked:
        verified(boss)
    edit(office, position="Директор")
    assert "никто не потеряет доступ" in office.named("users-blocked")
    assert ("Операционная часть закроется" in office) is blocked


def test_what_stands_beside_the_record_blocks_nobody(
    boss: Person, office: Browser, users: list[Person], post: Post
) -> None:
    verified(boss)
    edit(office, networks="10.20.4.0/24 10.20.8.0/24", administrator_email="new@izkt.example")
    assert office.named("status-after") == "Статус останется прежним: «Проверена»."
    assert "не изменится" in office.named("users-blocked")
    assert not office.has("request-ends")
    record_id = now().record_id
    office.press(APPLY)
    assert office.path == HOME
    assert [str(each) for each in now().networks] == ["10.20.4.0/24", "10.20.8.0/24"]
    assert now().administrator_email == "new@izkt.example"
    assert (now().status, now().record_id) == (Status.VERIFIED, record_id)
    edit(office, networks="")
    assert "10.20.4.0/24 10.20.8.0/24 —" in office.named("change-networks")


def test_a_resubmitted_organisation_is_blocked_again(
    boss: Person, office: Browser, users: list[Person]
) -> None:
    verified(boss)
    edit(office, position="Директор").press(APPLY)
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    assert now().is_open
    edit(office, position="Главный инженер")
    assert "Потеряют доступ к операционной части: 3" in office.named("users-blocked")
    office.press(APPLY)
    assert now().status is Status.EDITING


def test_the_status_that_was_shown_is_the_one_that_is_left(
    boss: Person, office: Browser, users: list[Person]
) -> None:
    """Nobody would be blocked, said the page; then a specialist verified the organisation."""
    specialist = enrol("specialist@izkt.example", Role.SPECIALIST)
    confirm("phone", "email")
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    edit(office, position="Директор")
    decide(specialist)
    office.press(APPLY)
    assert office.status == 409
    assert "организация изменилась" in office.named("notice")
    assert "Потеряют доступ к операционной части: 3" in office.named("users-blocked")
    assert now().status is Status.VERIFIED
    office.press(APPLY)
    assert now().status is Status.EDITING


def test_remarks_of_a_specialist_stand_beside_their_fields(boss: Person, office: Browser) -> None:
    specialist = enrol("specialist@izkt.example", Role.SPECIALIST)
    confirm("phone", "email")
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    assert act(verification.take, waiting(), specialist.account)
    remarks = {"kpp": "КПП не тот", "": "Пришлите устав"}
    act(verification.send_back, waiting(), specialist.account, remarks, "")
    office.open(EDIT)
    assert "КПП не тот" in office.named("returned-kpp")
    assert "Пришлите устав" in office.named("returned")
    office.press(SHOW, kpp="290101002").press(APPLY)
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    assert not office.open(EDIT).has("returned-kpp")


# The second factor


def test_letters_and_networks_need_a_second_factor_of_the_last_five_minutes(
    boss: Person, office: Browser, time: Time
) -> None:
    edit(office, networks="10.20.4.0/24", phone=OTHER_PHONE)
    assert office.has("needs-factor")
    time.passes(minutes=6)
    office.press(APPLY)
    assert office.page.heading == "Подтвердите, что это вы"
    assert now().networks == ()
    boss.step_up(office)
    assert office.path == DRAFT, "back to what was asked for; the draft is still there"
    office.press(APPLY)
    assert office.path == HOME
    assert [str(each) for each in now().networks] == ["10.20.4.0/24"]
    assert now().details.phone == OTHER_PHONE


def test_a_record_alone_needs_none(office: Browser, time: Time) -> None:
    time.passes(minutes=6)
    edit(office, phone=OTHER_PHONE)
    assert not office.has("needs-factor")
    assert office.press(APPLY).path == HOME


# Two at once


def test_the_second_of_two_sees_what_the_first_changed(
    boss: Person, office: Browser, colleague: Browser
) -> None:
    office.open(EDIT)
    edit(colleague, phone="+79215550149", kpp="290101002", legal_address="г. Москва").press(APPLY)
    office.press(SHOW, phone=OTHER_PHONE, position="Директор")
    assert office.page.heading == "Организация тем временем изменилась"
    row = office.named("clash-phone")
    for words in ("+7 921 555-01-47", "+7 921 555-01-49", SHOWN_PHONE, "Белов Борис"):
        assert words in row
    assert "вы этого не меняли" in office.named("clash-kpp")
    assert not office.has("clash-position"), "nobody else changed that"
    fields = office.page.form_of(MERGE).fields
    assert fields["choose_phone"] == "mine", "what was typed is kept unless one says otherwise"
    assert fields["choose_kpp"] == fields["choose_legal_address"] == "theirs"
    office.press(MERGE, choose_legal_address="mine")
    assert office.path == DRAFT
    assert office.page.heading == "Что изменится"
    assert "+7 921 555-01-49 +7 921 555-01-48" in office.named("change-phone")
    assert not office.has("change-kpp")
    assert office.has("change-legal_address")
    office.press(APPLY)
    assert now().details == replace(LOMOVA, phone=OTHER_PHONE, kpp="290101002", position="Директор")


def test_somebody_is_faster_while_one_looks_at_the_comparison(
    boss: Person, office: Browser, colleague: Browser
) -> None:
    edit(office, phone=OTHER_PHONE)
    edit(colleague, phone="+79215550149").press(APPLY)
    office.press(APPLY)
    assert office.status == 409
    assert office.page.heading == "Организация тем временем изменилась"
    assert "Пока вы смотрели" in office.named("notice")
    assert now().details.phone == "+79215550149"
    assert office.open(EDIT).path == DRAFT, "the form would hide what somebody else changed"
    office.press(MERGE, choose_phone="theirs")
    assert office.path == HOME, "nothing is left to apply"
    assert draft_of(boss) is None
    assert now().details.phone == "+79215550149"


def test_somebody_is_faster_once_more_while_one_chooses(
    office: Browser, colleague: Browser
) -> None:
    edit(office, phone=OTHER_PHONE, kpp="290101003")
    edit(colleague, phone="+79215550149").press(APPLY)
    office.open(DRAFT)
    edit(colleague, kpp="290101002").press(APPLY)
    office.press(MERGE, choose_phone="theirs")
    assert office.status == 409
    assert "изменилась ещё раз" in office.named("notice")
    fields = office.page.form_of(MERGE).fields
    assert (fields["choose_phone"], fields["choose_kpp"]) == ("theirs", "mine"), "choices stay"
    office.press(MERGE).press(APPLY)
    assert (now().details.phone, now().details.kpp) == ("+79215550149", "290101003")


def test_letters_and_networks_are_not_set_back_by_an_older_form(
    office: Browser, colleague: Browser
) -> None:
    office.open(EDIT)
    edit(colleague, networks="10.20.4.0/24").press(APPLY)
    office.press(SHOW, phone=OTHER_PHONE)
    assert "10.20.4.0/24" in office.named("clash-networks")
    office.press(MERGE).press(APPLY)
    assert [str(each) for each in now().networks] == ["10.20.4.0/24"]
    assert now().details.phone == OTHER_PHONE


def test_a_file_changes_the_organisation_meanwhile(
    office: Browser, keep: Callable[..., None]
) -> None:
    office.open(EDIT)
    keep(legal_address="г. Москва")
    office.press(SHOW, phone=OTHER_PHONE)
    assert "загрузка данных" in office.named("clash-legal_address")


def test_both_typed_the_same(office: Browser, colleague: Browser) -> None:
    edit(office, phone=OTHER_PHONE)
    edit(colleague, phone=OTHER_PHONE).press(APPLY)
    assert office.open(DRAFT).has("no-clashes")
    assert office.press(MERGE).path == HOME


def test_a_wrong_value_on_an_older_form_loses_nothing(office: Browser, colleague: Browser) -> None:
    office.open(EDIT)
    edit(colleague, kpp="290101002").press(APPLY)
    office.press(SHOW, phone="555", position="Директор")
    assert office.status == 422
    assert "кто-то изменил эту организацию" in office.named("outdated")
    assert office.page.form_of(SHOW).fields["position"] == "Директор"
    office.press(SHOW, phone=OTHER_PHONE)
    assert office.has("clash-kpp")


def test_values_that_do_not_go_together_are_pointed_at(office: Browser, colleague: Browser) -> None:
    edit(office, kpp="290101002")
    edit(colleague, **ALONE).press(APPLY)
    office.open(DRAFT).press(MERGE)
    assert office.status == 422
    assert "У предпринимателя КПП нет" in office.fault("kpp")
    assert office.page.form_of(SHOW).fields["inn"] == ALONE["inn"]
    office.press(SHOW, kpp="", position="Директор").press(APPLY)
    assert now().details == replace(LOMOVA, position="Директор", **ALONE)


def test_the_answer_who_is_meant_outlives_values_that_do_not_fit(
    office: Browser, colleague: Browser
) -> None:
    edit(office, person="other", kpp="290101999")
    edit(colleague, **ALONE).press(APPLY)
    office.open(DRAFT).press(MERGE)
    assert office.status == 422
    assert office.page.form_of(SHOW).fields["person"] == "other"
    before = now().person
    office.press(SHOW, kpp="").press(APPLY)
    assert now().person != before


def test_another_person_meanwhile_raises_the_question_anew(
    office: Browser, colleague: Browser
) -> None:
    edit(office, last_name="Ломовая", person="same")
    edit(colleague, last_name="Петров", first_name="Пётр", person="other").press(APPLY)
    office.open(DRAFT)
    assert "теперь — другой человек" in office.named("another-person")
    office.press(MERGE)
    assert office.status == 422
    assert office.fault("person")
    office.press(SHOW, first_name="Ирина", person="other").press(APPLY)
    assert now().details.full_name == "Ломовая Ирина Васильевна"


def test_two_apply_at_the_same_moment(office: Browser, colleague: Browser) -> None:
    edit(office, phone=OTHER_PHONE)
    edit(colleague, phone="+79215550149")
    first, second = at_once(lambda: office.press(APPLY), lambda: colleague.press(APPLY))
    assert sorted([first.status, second.status]) == [200, 409]
    assert len(events("record.changed")) == 1


def test_an_edit_that_was_discarded_meanwhile(
    boss: Person, office: Browser, colleague: Browser
) -> None:
    verified(boss)
    edit(office, phone=OTHER_PHONE).press(APPLY)
    edit(office, position="Директор")
    colleague.open(DISCARD).press(RESTORE)
    office.press(APPLY)
    assert office.status == 409
    assert "Белов Борис" in office.named("clash-phone")
    office.press(MERGE, choose_phone="theirs").press(APPLY)
    assert now().details == replace(LOMOVA, position="Директор")


# Old pages of one's own


def test_a_draft_of_another_window_is_shown_before_it_is_applied(
    boss: Person, office: Browser
) -> None:
    edit(office, phone=OTHER_PHONE)
    second = edit(tab(office), phone="+79215550149")
    for button in (APPLY, FORGET):
        page = office.page
        office.press(button)
        assert office.status == 409
        assert "Черновик изменили в другом окне" in office.named("notice")
        assert "+7 921 555-01-49" in office.named("change-phone")
        office.page = page
    second.press(APPLY)
    assert now().details.phone == "+79215550149"


def test_an_organisation_is_edited_a_hundred_times_a_day(
    boss: Person, office: Browser, time: Time
) -> None:
    """Each edit is a line of the journal for ever, which the specialist's page reads to its end."""
    with db.writing():
        limits.use(*[f"edits of {ID}"] * 99)
        db.commit()
    edit(office, phone=OTHER_PHONE).press(APPLY)
    assert now().details.phone == OTHER_PHONE
    edit(office, phone=LOMOVA.phone).press(APPLY)
    assert office.status == 429
    assert "Черновик сохранён" in office.named("notice")
    assert now().details.phone == OTHER_PHONE
    time.passes(days=1)
    boss.sign_in(office).open(DRAFT).press(APPLY)
    assert now().details.phone == LOMOVA.phone


def test_a_double_press_applies_once(boss: Person, office: Browser) -> None:
    press_twice(edit(office, phone=OTHER_PHONE), APPLY)
    assert office.status == 409
    assert office.page.heading == "Этого черновика больше нет"
    assert office.follow("Открыть организацию").path == HOME
    assert len(events("record.changed")) == 1


def test_an_old_merge_is_no_way_around_the_comparison(office: Browser, colleague: Browser) -> None:
    edit(office, phone=OTHER_PHONE)
    version = office.page.form_of(APPLY).fields["draft"]
    assert office.send(f"{DRAFT}/merge", draft=version, now="0-0").status == 409
    assert now().details == LOMOVA


# What the responsible person reported


def test_corrections_are_taken_over_in_one_press(boss: Person, office: Browser) -> None:
    report(ID, "Телефон сменился летом.", phone=OTHER_PHONE, position="Директор", email="")
    office.open(HOME).follow("К исправлениям")
    assert office.page.heading == "Предложенные исправления"
    assert "+7 921 555-01-47 +7 921 555-01-48" in office.named("correction-phone")
    assert "смотрите комментарий" in office.named("correction-email")
    assert office.named("comment") == "Телефон сменился летом."
    fields = office.page.form_of(TAKE).fields
    assert {"take_phone", "take_position"} <= fields.keys()
    assert "take_email" not in fields
    office.press(TAKE)
    assert office.path == DRAFT
    assert office.has("change-phone")
    assert office.has("change-position")
    assert now().details == LOMOVA
    office.press(APPLY)
    assert now().details == replace(LOMOVA, phone=OTHER_PHONE, position="Директор")


def test_corrections_are_taken_over_row_by_row(office: Browser) -> None:
    report(ID, phone=OTHER_PHONE, position="Директор")
    assert not office.open(HOME).has("left-proposed"), "all of it is warned of"
    office.open(CORRECTIONS).press(TAKE, take_position="")
    assert office.has("change-phone")
    assert not office.has("change-position")
    office.press(APPLY)
    assert office.named("done") == "Изменения применены."
    assert office.named("left-proposed") == "Осталось предложенное: 1"
    office.follow("Осталось предложенное: 1").press(TAKE).press(APPLY)
    assert not office.has("left-proposed")


def test_what_was_proposed_is_left_until_the_next_request(office: Browser) -> None:
    report(ID, phone=OTHER_PHONE, position="Директор", email="")
    edit(office, kpp="290101002").press(APPLY)
    assert office.named("left-proposed") == "Осталось предложенное: 2"
    confirm()
    assert not office.open(HOME).has("left-proposed")


def test_no_correction_chosen(boss: Person, office: Browser) -> None:
    report(ID, phone=OTHER_PHONE)
    office.open(CORRECTIONS).press(TAKE, take_phone="")
    assert office.status == 422
    assert "Отметьте хотя бы одно" in office.named("notice")
    office.press(TAKE, take_phone="y", csrf_token="old")
    assert office.status == 422
    assert "Страница устарела" in office.named("notice")
    assert draft_of(boss) is None
    assert office.press(TAKE).path == DRAFT


def test_a_corrected_name_raises_the_question_who_is_meant(boss: Person, office: Browser) -> None:
    confirm("phone")
    report(ID, last_name="Ломовая", phone=OTHER_PHONE)
    office.open(CORRECTIONS).press(TAKE, take_phone="")
    assert office.status == 422
    assert office.fault("person")
    fields = office.page.form_of(TAKE).fields
    assert "take_last_name" in fields
    assert "take_phone" not in fields, "what was chosen stays"
    office.press(TAKE, person="same")
    assert office.path == DRAFT
    assert not draft_of(boss).is_another_person
    assert draft_of(boss).details == replace(LOMOVA, last_name="Ломовая")


def test_corrections_come_on_top_of_a_draft(boss: Person, office: Browser) -> None:
    report(ID, phone=OTHER_PHONE)
    edit(office, position="Директор", phone="+79215550149")
    office.open(CORRECTIONS)
    assert office.has("has-draft")
    assert "+7 921 555-01-49" in office.named("correction-phone")
    office.press(TAKE)
    assert draft_of(boss).details == replace(LOMOVA, position="Директор", phone=OTHER_PHONE)


def test_what_changed_since_the_report_is_said(office: Browser, keep: Callable[..., None]) -> None:
    report(ID, phone=OTHER_PHONE, kpp="290101002", position="Директор")
    keep(phone="+79215550149", kpp="290101002")
    office.open(CORRECTIONS)
    row = office.named("correction-phone")
    assert "+7 921 555-01-49" in row
    assert "с тех пор изменено, было: +7 921 555-01-47" in row
    assert "уже исправлено" in office.named("correction-kpp")
    assert "take_kpp" not in office.page.form_of(TAKE).fields
    office.press(TAKE)
    assert "+7 921 555-01-49 +7 921 555-01-48" in office.named("change-phone")


def test_a_value_that_is_not_good_any_more_is_pointed_at(boss: Person, office: Browser) -> None:
    """Such as one whose region was taken off the list meanwhile."""
    report(ID, phone="+77015550148", position="Директор")
    office.open(CORRECTIONS)
    assert "Так записать нельзя." in office.named("correction-phone")
    assert "take_phone" not in office.page.form_of(TAKE).fields
    office.send(CORRECTIONS, request=last_id(), take_phone="y")
    assert office.status == 422
    assert draft_of(boss) is None


def last_id() -> str:
    with db.reading():
        last = confirmation.last_request(ID)
    assert last
    return last.id


def test_corrections_that_do_not_go_together_are_pointed_at(boss: Person, office: Browser) -> None:
    report(ID, inn=ALONE["inn"], position="Директор")
    office.open(CORRECTIONS).press(TAKE)
    assert office.status == 422
    assert office.page.heading == "Изменить реквизиты"
    assert office.page.faults.keys() == {"kpp", "ogrn"}
    assert office.page.form_of(SHOW).fields["position"] == "Директор"
    office.press(SHOW, **ALONE).press(APPLY)
    assert now().details == replace(LOMOVA, position="Директор", **ALONE)


def test_a_report_that_was_answered_is_gone(boss: Person, office: Browser) -> None:
    assert office.open(CORRECTIONS).has("nothing-reported")
    report(ID, phone=OTHER_PHONE)
    office.open(CORRECTIONS)
    confirm()
    office.press(TAKE)
    assert office.status == 409
    assert "больше нет" in office.named("notice")
    assert office.has("nothing-reported")
    assert draft_of(boss) is None


def test_a_report_of_a_comment_alone(office: Browser) -> None:
    report(ID, "Это вообще не мы: <b>позвоните</b>")
    office.open(CORRECTIONS)
    assert "<b>позвоните</b>" in office.named("comment")
    assert TAKE not in office.page.buttons
    assert office.follow("Исправить вручную").path == EDIT


# Back to what was verified


def test_an_edit_is_discarded_and_users_are_let_in_again(
    boss: Person, office: Browser, users: list[Person], post: Post, time: Time
) -> None:
    verified(boss)
    edit(office, phone=OTHER_PHONE, position="Директор").press(APPLY)
    time.passes(minutes=2)
    office.open(HOME).press("Запросить подтверждение")
    link = post.link()
    office.open(EDIT).follow("Вернуть проверенные реквизиты")
    assert office.page.heading == "Вернуть проверенные реквизиты?"
    assert "+7 921 555-01-48 +7 921 555-01-47" in office.named("change-phone")
    assert office.named("status-after") == "Статус станет «Проверена»."
    assert "3" in office.named("users-let-in")
    assert office.has("request-ends")
    office.press(RESTORE)
    assert office.path == HOME
    assert now().details == LOMOVA
    assert now().status is Status.VERIFIED
    assert proved() == {"phone", "email"}
    assert office.open(link).status == 410


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.EDITING}))
def test_only_an_edit_can_be_discarded(boss: Person, office: Browser, status: Status) -> None:
    if status is Status.SUBMITTED:
        confirm("phone", "email")
        assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    elif status is not Status.UNVERIFIED:
        verified(boss)
    if status is Status.RESUBMITTED:
        edit(office, position="Директор").press(APPLY)
        assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    before = now()
    assert before.status is status
    office.open(DISCARD)
    assert office.status == 409
    assert office.has("nothing-to-discard")
    assert RESTORE not in office.page.buttons
    assert office.send(DISCARD, record=str(before.record_id)).status == 409
    assert now() == before


def test_an_old_page_discards_nothing(boss: Person, office: Browser, colleague: Browser) -> None:
    verified(boss)
    edit(office, phone=OTHER_PHONE).press(APPLY)
    office.open(DISCARD)
    office.press(RESTORE, csrf_token="old")
    assert office.status == 422
    edit(colleague, position="Директор").press(APPLY)
    office.press(RESTORE)
    assert office.status == 409
    assert "данные изменились" in office.named("notice")
    assert "Директор" in office.named("change-position")
    assert now().status is Status.EDITING
    press_twice(office, RESTORE)
    assert office.status == 409
    assert office.has("nothing-to-discard")
    assert now().details == LOMOVA


def test_another_person_is_taken_back(boss: Person, office: Browser) -> None:
    verified(boss)
    edit(office, person="other").press(APPLY)
    office.open(DISCARD)
    assert "снова станет прежний человек" in office.named("another-person")
    office.press(RESTORE)
    assert proved() == {"phone", "email"}


# What is not one's own


@pytest.fixture
def foreign(keep: Callable[..., None]) -> Person:
    keep(OTHER_ID, short_name="АО «Южный путь»")
    return enrol("c@yug.example", Role.ADMINISTRATOR, OTHER_ID)


ADDRESSES = ["edit", "draft", "draft/merge", "draft/forget", "corrections", "discard"]


@pytest.mark.parametrize("id", [OTHER_ID, "ORG-404", "A" * 22, "%00"])
def test_another_organisation_is_not_there(office: Browser, foreign: Person, id: str) -> None:
    details = now(OTHER_ID).details
    typed = {"phone": OTHER_PHONE, "record": str(now(OTHER_ID).record_id)}
    for address in ADDRESSES:
        office.open(EDIT)
        assert office.send(f"/organisations/{id}/{address}", **typed).status == 404
    for address in ("edit", "draft", "corrections", "discard"):
        assert office.open(f"/organisations/{id}/{address}").status == 404
    assert len(events("access.refused")) == len(ADDRESSES) + 4
    assert now(OTHER_ID).details == details
    assert not everything()["drafts"]
    assert "Южный путь" not in office


@pytest.mark.parametrize(
    "record", ["foreign", "0", "-1", "x", "1 OR 1", "2147483648", "9" * 40, "١"]
)
def test_a_forged_record_is_not_there(
    boss: Person, office: Browser, foreign: Person, record: str
) -> None:
    forged = str(now(OTHER_ID).record_id) if record == "foreign" else record
    office.open(EDIT).press(SHOW, phone=OTHER_PHONE, record=forged)
    assert office.status == 404
    assert len(events("access.refused")) == 1
    assert draft_of(boss) is None


def test_an_older_record_of_ones_own_is_only_an_older_page(boss: Person, office: Browser) -> None:
    first = now().record_id
    edit(office, position="Директор").press(APPLY)
    office.open(EDIT).press(SHOW, record=str(first), phone=OTHER_PHONE)
    assert office.page.heading == "Организация тем временем изменилась"


def test_a_draft_of_somebody_else_is_not_seen(
    boss: Person, office: Browser, colleague: Browser
) -> None:
    edit(office, position="Тайный советник")
    for address in (EDIT, DRAFT, CORRECTIONS, HOME):
        assert "Тайный советник" not in colleague.open(address)
    version = draft_of(boss).version
    colleague.open(EDIT)
    for address in ("draft", "draft/merge", "draft/forget"):
        assert colleague.send(f"{HOME}/{address}", draft=version, status="unverified").status == 409
        colleague.open(EDIT)
    assert draft_of(boss)


def test_personal_data_stays_out_of_the_journal(boss: Person, office: Browser) -> None:
    edit(office, last_name="Северная", phone=OTHER_PHONE, person="other", networks="10.9.0.0/16")
    office.press(APPLY)
    lines = str(everything()["events"])
    assert not [each for each in ("Северная", OTHER_PHONE, "5550148", "10.9.0") if each in lines]


def test_what_is_typed_is_shown_as_text(office: Browser) -> None:
    edit(office, name="ООО <script>alert(1)</script> «А»", phone="<b>1</b>")
    assert "<script>alert" not in office.response.text
    edit(office, name="ООО <i>А</i>")
    assert "ООО <i>А</i>" in office.named("change-name")


def test_details_hold_every_field(office: Browser) -> None:
    fields = office.open(EDIT).page.form_of(SHOW).fields
    assert set(Details.__slots__) <= fields.keys()
    assert {"administrator_email", "networks", "record"} <= fields.keys()
