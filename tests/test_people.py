"""An administrator's own people: their lost devices, and whose may be reset."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from portal import account, config, organisation, recovery
from portal.account import Role
from portal.database import db
from portal.device.tables import devices
from portal.keys import UnreadableError
from portal.recovery import Reason, Standing
from tests.browser import Browser, squeeze
from tests.conftest import LOMOVA
from tests.lost_device import (
    CODE,
    EMAIL,
    ENROL,
    HERE,
    OPEN,
    OPENED,
    PHONE,
    REFUSED,
    REPLACED,
    Loss,
    Witness,
    at_once,
    cancel_in,
    events,
    everything,
    lose,
    press_twice,
    tab,
)
from tests.people import PASSWORD, Person, act, enrol, enrol_in, invite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Post, Time

ADMINISTRATOR = "a.sokolova@sever-trakt.example"
SOKOLOVA = "Соколова Анна Петровна"
RESET = "Сбросить"
TO_RESET = "Сбросить второй фактор"
REFUSE = "Отказать"
TAKE_BACK = "Отозвать код"


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    """The administrator of the organisation."""
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA)


@pytest.fixture
def loss(boss: Person, new_browser: Callable[..., Browser], post: Post) -> Loss:
    """An operator of theirs who lost the device."""
    return lose(new_browser, post)


@pytest.fixture
def office(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    """The administrator's browser, signed in."""
    return boss.come_in(new_browser("10.20.4.2")).open("/people")


def test_an_administrator_reads_that_mailbox_and_password_are_one_proof(
    loss: Loss, office: Browser, time: Time
) -> None:
    assert not office.open(reset_of(loss.owner)).has("one-proof")
    choose_by_letter(loss)
    assert office.open(reset_of(loss.owner)).has("one-proof")
    loss.open()
    routed = loss.post.letters(ADMINISTRATOR)[-1]
    for words in (routed.text, html.unescape(routed.html)):
        assert "код придёт на ту же почту" in squeeze(words)
    time.passes(days=7)
    assert not office.open(reset_of(loss.owner)).has("one-proof")


def test_a_reset_rests_on_what_its_page_showed(loss: Loss, office: Browser) -> None:
    office.open(reset_of(loss.owner))
    choose_by_letter(loss)
    office.press(RESET)
    assert (office.status, office.has("one-proof")) == (409, True)
    assert "положение изменилось" in office.named("error")
    assert not loss.subjects().count(CODE)
    loss.open()
    office.press(RESET)
    assert office.status == 409, "there is a case now"
    office.press(RESET)
    assert "Код отправлен" in office.named("done")


def test_a_reset_rests_on_its_page_also_when_a_grant_has_just_run_out(
    loss: Loss, office: Browser, boss: Person, time: Time
) -> None:
    act(recovery.grant_by_administrator, boss.account, loss.owner.account, HERE)
    time.passes(hours=24, minutes=1)
    boss.sign_in(office)
    assert office.send(reset_of(loss.owner)).status == 409
    assert loss.case.standing is Standing.EXPIRED
    assert len(events("case.code_posted")) == 1


def choose_by_letter(loss: Loss) -> None:
    """Somebody who reads the mailbox chooses the owner's password."""
    chosen = "кривой якорь бежит задумчиво"
    thief = loss.new_browser()
    thief.open("/password").press("Отправить письмо", email=loss.email)
    thief.open(loss.post.link(loss.email)).press("Сохранить пароль", password=chosen, again=chosen)
    loss.owner.password = chosen


def test_the_letter_leads_to_the_list_of_that_organisation(
    loss: Loss, boss: Person, keep: Callable[..., None]
) -> None:
    loss.open()
    assert f"/people?organisation={loss.owner.account.organisations[0]}" in (
        loss.post.letters(ADMINISTRATOR)[-1].text
    )


def test_an_invitation_that_comes_too_late_shows_what_was_typed(
    office: Browser, time: Time
) -> None:
    office.open("/people/new")
    time.passes(minutes=31)
    typed = {"email": "n@sever-trakt.example", "name": "Новиков Николай", "role": "operator"}
    office.press("Отправить приглашение", **typed)
    assert office.status == 401
    assert "Фамилия, имя, отчество: Новиков Николай" in office.named("written")
    assert "Наименование" not in office.named("written")


def test_a_code_may_be_taken_back_while_somebody_enrols_with_it(
    loss: Loss, boss: Person, office: Browser, time: Time
) -> None:
    act(recovery.grant_by_administrator, boss.account, loss.owner.account, HERE)
    time.passes(hours=23, minutes=59)
    thief = loss.owner.enter_password(loss.new_browser()).press(ENROL, code=loss.code)
    assert thief.page.heading == "Новое устройство"
    time.passes(minutes=2)
    boss.sign_in(office).open("/people").press(TAKE_BACK)
    assert thief.open("/devices/new").path == "/signin"


def test_who_comes_too_late_is_led_back_to_the_people(
    office: Browser, boss: Person, time: Time
) -> None:
    invite("n@sever-trakt.example")
    office.open("/people")
    time.passes(minutes=31)
    office.press("Пригласить ещё раз")
    assert office.status == 401
    assert "вернём вас на ту же страницу" in office
    assert boss.sign_in(office).path == "/people"


def reset_of(person: Person) -> str:
    return f"/people/{person.account.id}/reset"


def list_of(person: Person) -> str:
    """The list that somebody is on."""
    return f"/people?organisation={person.account.organisations[0]}"


def line_of(office: Browser, person: Person) -> str:
    """The line of somebody in the list."""
    lines = office.open(list_of(person)).every("person")
    return next(line for line in lines if person.account.email in line)


# The whole way


def test_who_lost_the_device_is_sent_to_the_administrator(
    loss: Loss, boss: Person, office: Browser, post: Post, time: Time
) -> None:
    elsewhere = loss.owner.sign_in(loss.new_browser("10.20.4.30"))
    page = loss.return_to_case()
    assert f"восстановит администратор организации: {SOKOLOVA}" in page
    page.press(OPEN)
    assert "Обратитесь к администратору" in page.named("turn")
    assert loss.case.service == "", "nobody asks questions"
    assert SOKOLOVA in page.named("turn")
    letter = loss.newest(OPENED)
    assert "Обратитесь к администратору вашей организации" in letter
    told = post.letters(ADMINISTRATOR)[-1]
    assert told.subject == "Сотруднику нужно восстановить доступ"
    assert LOMOVA.short_name in told.text
    assert "http://127.0.0.1:8000/people?organisation=ORG-004217\n" in told.text
    assert "Открыть „Сотрудники“" in told.html
    assert "cancel/" not in told.text

    desk = loss.sit_down()
    assert desk.named("standing") == "у администратора организации"
    assert desk.page.buttons.keys() == {"Выйти", "Отказать и закрыть"}, "but no other for it"
    assert "обратитесь к нему" in desk.named("say")

    time.passes(minutes=6)
    assert "просит восстановить доступ" in line_of(office, loss.owner)
    office.follow(TO_RESET)
    assert office.page.heading == "Подтвердите, что это вы"
    boss.step_up(office)
    assert office.page.heading == "Сбросить второй фактор?"
    office.press(RESET)
    assert office.status == 200
    assert f"Код отправлен на {EMAIL}" in office.named("done")
    assert "код отправлен, ждём сотрудника" in line_of(office, loss.owner)
    letter = loss.newest(CODE)
    assert "Администратор вашей организации разрешил" in letter
    assert "http://127.0.0.1:8000/signin\n" in letter
    assert cancel_in(letter)
    assert "администратор разрешил добавить устройство" in post.sms.arrived[-1].text

    anywhere = loss.return_to_case(loss.new_browser("10.20.4.44"))
    assert "Введите код из письма" in anywhere.named("turn")
    loss.computer = anywhere.press(ENROL, code=loss.code)
    loss.add_device()
    codes = re.findall(r"<code>([0-9A-Z-]{19})</code>", anywhere.response.text)
    anywhere.press("Коды сохранены", code=codes[0])
    assert "Доступ восстановлен" in anywhere.named("done")
    assert elsewhere.open("/devices").page.heading == "Вход", "every other session ended"
    loss.owner.sign_in(elsewhere)
    assert "Неверный код" in elsewhere.fault("code")
    loss.owner.secret = loss.secret
    assert loss.owner.sign_in(elsewhere).page.heading == "Мои устройства"
    assert "настроен" in line_of(office, loss.owner)
    assert REPLACED in loss.subjects()


def test_the_administrator_may_reset_without_being_asked(
    loss: Loss, office: Browser, boss: Person
) -> None:
    office.follow(TO_RESET).press(RESET)
    assert "Код отправлен" in office.named("done")
    assert "Введите код из письма" in loss.return_to_case().named("turn")
    assert "Звонок и номер диагностики" not in loss.computer, "nobody was called"
    assert loss.computer.press(ENROL, code=loss.code).page.heading == "Новое устройство"


def test_a_reset_needs_a_second_factor_of_the_last_five_minutes(
    loss: Loss, boss: Person, office: Browser, time: Time
) -> None:
    time.passes(minutes=4)
    office.open(reset_of(loss.owner))
    assert office.page.heading == "Сбросить второй фактор?"
    time.passes(minutes=2)
    office.press(RESET)
    assert office.page.heading == "Подтвердите, что это вы"
    assert "настроен" in line_of(office, loss.owner)
    office.open("/check")
    boss.step_up(office)
    assert office.page.heading == "Сбросить второй фактор?", "back to what was asked for"
    assert "Код отправлен" in office.press(RESET).named("done")


# Whose may be reset


def test_the_list_says_how_everybody_stands(
    loss: Loss, office: Browser, boss: Person, keep: Callable[..., None]
) -> None:
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="Белов Борис")
    invited = enrol("new@sever-trakt.example", Role.MANAGER, name="Новикова Нина")
    with db.writing():
        db.execute(devices.delete().where(devices.c.account_id == invited.account.id))
        db.commit()
    keep("ORG-2", short_name="АО «Южный путь»")
    stranger = enrol("c@yug.example", Role.OPERATOR, "ORG-2")
    assert "приглашение не действует" in line_of(office, invited)
    assert "настроен" in line_of(office, colleague)
    assert "Администратор" in line_of(office, boss)
    assert "Оператор" in line_of(office, loss.owner)
    assert stranger.account.email not in office
    assert [line for line in office.every("person") if TO_RESET in line] == [
        line_of(office, loss.owner)
    ], "never the own, another administrator's, or one that is not there"


def test_who_asks_for_help_comes_first(loss: Loss, office: Browser) -> None:
    for name in ("a", "z"):
        enrol(f"{name}@sever-trakt.example", Role.OPERATOR, name=f"{name.upper()} Первый")
    loss.open()
    first, *others = office.open("/people").every("person")
    assert "просит восстановить доступ" in first
    assert len(others) == 3


@pytest.mark.parametrize("whose", ["own", "colleague", "foreign", "specialist", "nobody"])
def test_nobody_elses_is_reset(
    loss: Loss, boss: Person, office: Browser, keep: Callable[..., None], whose: str
) -> None:
    keep("ORG-2", short_name="АО «Южный путь»")
    others = {
        "own": boss.account.id,
        "colleague": enrol("b@sever-trakt.example", Role.ADMINISTRATOR).account.id,
        "foreign": enrol("c@yug.example", Role.OPERATOR, "ORG-2").account.id,
        "specialist": loss.specialist.account.id,
        "nobody": "A" * 22,
    }
    before = everything()
    for address in (f"/people/{others[whose]}/reset", f"/people/{others[whose]}/refuse"):
        office.open("/people")
        assert office.send(address).status == 404
    assert office.open(f"/people/{others[whose]}/reset").status == 404
    assert len(events("access.refused")) == 3
    after = everything()
    assert [after[name] for name in ("cases", "messages")] == [
        before[name] for name in ("cases", "messages")
    ]


def test_an_administrator_of_two_organisations_has_both(
    loss: Loss, boss: Person, keep: Callable[..., None]
) -> None:
    keep("ORG-2", short_name="АО «Южный путь»")
    other = enrol("c@yug.example", Role.OPERATOR, "ORG-2", name="Цветкова Лидия")
    with db.writing():
        account.invite(ADMINISTRATOR, Role.ADMINISTRATOR, "ORG-2", SOKOLOVA, "", "tests")
        db.commit()
    office = boss.sign_in(loss.new_browser())
    assert "настроен" in line_of(office, other)
    assert "настроен" in line_of(office, loss.owner)
    office.open(reset_of(other)).press(RESET)
    assert "Код отправлен" in office.named("done")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SPECIALIST])
def test_the_page_is_for_administrators(loss: Loss, role: Role) -> None:
    person = loss.specialist if role is Role.SPECIALIST else enrol("x@sever-trakt.example", role)
    browser = person.sign_in(loss.new_browser())
    assert browser.open("/people").status == 403
    browser.open("/devices")
    assert browser.send(reset_of(loss.owner)).status == 403
    assert len(events("access.refused")) == 2
    assert loss.new_browser().open("/people").page.heading == "Вход"


def test_an_administrator_who_lost_the_device_is_not_sent_to_anybody(
    boss: Person, new_browser: Callable[..., Browser], post: Post
) -> None:
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="Белов Борис")
    loss = lose(new_browser, post)
    loss.owner = boss
    loss.open()
    assert loss.case.standing is Standing.OPENED
    office = colleague.sign_in(new_browser())
    assert TO_RESET not in line_of(office, boss)


# What stands in the way


def test_a_case_at_the_support_is_left_to_it(
    keep: Callable[..., None], new_browser: Callable[..., Browser], post: Post
) -> None:
    """It was opened before the organisation had an administrator who could sign in."""
    keep()
    loss = lose(new_browser, post)
    loss.ask()
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA)
    office = boss.sign_in(new_browser())
    line = line_of(office, loss.owner)
    assert "восстанавливает поддержка" in line
    assert TO_RESET not in line
    office.open(reset_of(loss.owner))
    assert office.page.heading == "Сбросить второй фактор нельзя"
    assert RESET not in office.page.buttons
    office.send(reset_of(loss.owner))
    assert office.status == 409
    assert "вот как обстоит дело" in office.named("notice")
    assert office.send(f"/people/{loss.owner.account.id}/refuse").status == 409
    assert loss.case.standing is Standing.ASKING


def test_a_new_email_is_told_and_nothing_is_sent(loss: Loss, office: Browser, time: Time) -> None:
    with db.writing():
        account.change(loss.owner.account, "email", "new@sever-trakt.example", "tests")
        db.commit()
    office.open(reset_of(loss.owner)).press(RESET)
    assert office.status == 409
    assert "меньше 7 дней назад" in office.named("error")
    assert not events("case.waiting")


def test_who_has_no_device_needs_an_invitation(loss: Loss, office: Browser) -> None:
    with db.writing():
        db.execute(devices.delete().where(devices.c.account_id == loss.owner.account.id))
        db.commit()
    office.open(reset_of(loss.owner))
    assert "из письма с приглашением" in office
    assert office.send(reset_of(loss.owner)).status == 409
    assert "Нужно новое приглашение" in office.named("error")


def test_a_double_press_sends_one_code(loss: Loss, office: Browser) -> None:
    press_twice(office.open(reset_of(loss.owner)), RESET)
    assert office.status == 409
    assert "вот как обстоит дело" in office.named("notice")
    assert "код отправлен" in line_of(office, loss.owner)
    assert loss.subjects().count(CODE) == 1
    assert "Код уже отправлен" in office.open(reset_of(loss.owner))


def test_an_old_form_is_shown_again(loss: Loss, office: Browser) -> None:
    office.open(reset_of(loss.owner)).press(RESET, csrf_token="old")
    assert office.status == 422
    assert "Страница устарела" in office.named("error")
    assert "Код отправлен" in office.press(RESET).named("done")
    office.press(TAKE_BACK, csrf_token="old")
    assert office.status == 422
    assert "Страница устарела" in office.named("notice")
    assert "Код отозван" in office.press(TAKE_BACK).named("done")


# No, and no longer


def test_an_administrator_refuses_what_nobody_of_theirs_asked_for(
    loss: Loss, office: Browser
) -> None:
    loss.open()
    office.open("/people").press(REFUSE)
    assert "узнает об этом из письма" in office.named("done")
    assert "настроен" in line_of(office, loss.owner)
    assert loss.case.reason is Reason.DENIED
    assert "администратор организации решил, что обращаетесь не вы" in loss.newest(REFUSED)
    assert REFUSED in loss.subjects()
    assert "По обращению № 1 отказано" in loss.computer.open("/recovery").named("last-case")
    assert loss.owner.sign_in(loss.new_browser()).page.heading == "Операционная часть"


@pytest.mark.parametrize("enrolling", [False, True])
def test_an_administrator_takes_a_code_back(loss: Loss, office: Browser, enrolling: bool) -> None:
    office.open(reset_of(loss.owner)).press(RESET)
    code = loss.code
    loss.return_to_case()
    if enrolling:
        loss.computer.press(ENROL, code=code)
    second = tab(office).open("/people")
    office.press(TAKE_BACK)
    assert "Код отозван" in office.named("done")
    letter = loss.newest(REFUSED)
    assert "администратор организации отозвал код" in letter
    assert "обратитесь к администратору вашей организации" in letter
    assert "звоните в поддержку" not in letter
    assert second.press(TAKE_BACK).status == 409
    assert "Отказать уже нельзя" in second.named("notice")
    if enrolling:
        assert loss.add_device().status == 401
    else:
        assert loss.computer.press(ENROL, code=code).status == 409
        assert "По обращению № 1 отказано" in loss.computer.named("last-case")
    assert loss.case.reason is Reason.REVOKED


def test_who_signs_in_after_all_needs_no_reset(loss: Loss, office: Browser) -> None:
    loss.open()
    office.open("/people")
    loss.owner.sign_in(loss.new_browser())
    assert office.press(REFUSE).status == 409
    assert "настроен" in line_of(office, loss.owner)


def test_a_case_without_an_administrator_any_more_says_so(loss: Loss, boss: Person) -> None:
    loss.open()
    with db.writing():
        db.execute(devices.delete().where(devices.c.account_id == boss.account.id))
        db.commit()
    page = loss.return_to_case()
    assert "Начните заново" in page.named("turn")
    stopped = loss.new_browser().open(cancel_in(loss.newest(OPENED)))
    stopped.press("Остановить")
    assert "Позвоните в поддержку" in page.open("/recovery").press(OPEN, service="cabinet").named(
        "turn"
    )


@pytest.mark.parametrize(("hours", "works"), [(23.9, True), (24.1, False)])
def test_a_code_of_an_administrator_works_for_a_day(
    loss: Loss, office: Browser, time: Time, hours: float, works: bool
) -> None:
    office.open(reset_of(loss.owner)).press(RESET)
    code = loss.code
    time.passes(hours=hours)
    loss.return_to_case()
    assert (ENROL in loss.computer.page.buttons) is works
    if works:
        assert loss.computer.press(ENROL, code=code).page.heading == "Новое устройство"
    else:
        assert "Срок обращения № 1 истёк" in loss.computer.named("last-case")


def test_what_nobody_asked_for_goes_away_after_three_days(
    loss: Loss, boss: Person, time: Time
) -> None:
    loss.open()
    time.passes(hours=71, minutes=58)
    office = boss.sign_in(loss.new_browser())
    assert "просит восстановить доступ" in line_of(office, loss.owner)
    time.passes(minutes=2)
    assert office.press(REFUSE).status == 409
    assert "настроен" in line_of(office, loss.owner)


# What the administrator is not shown


def test_no_page_of_the_administrator_shows_a_code_or_a_secret(
    loss: Loss, boss: Person, post: Post
) -> None:
    office = Witness(loss.new_browser("10.20.4.2"))
    loss.open()
    boss.sign_in(office)
    office.open(reset_of(loss.owner)).press(RESET)
    code = loss.code
    loss.return_to_case(loss.new_browser(HERE)).press(ENROL, code=code)
    office.open("/people").open(reset_of(loss.owner))
    pages = "\n".join(office.seen)
    secrets = [code, code.replace("-", ""), loss.owner.secret, "cancel/"]
    assert [each for each in (*secrets, PHONE[-7:]) if each in pages] == []
    assert not any(code in each.text for each in post.letters(ADMINISTRATOR))


# Inviting

NEW = "n.novikova@sever-trakt.example"
TO_INVITE = "Пригласить сотрудника"
INVITE = "Отправить приглашение"
INVITE_AGAIN = "Пригласить ещё раз"
WITHDRAW = "Отозвать приглашение"
SUBJECT = "Приглашение в портал ИЗКТ"
TYPED = {"email": NEW, "name": "Новикова Нина", "phone": "8 921 555-01-77", "role": "controller"}


def test_who_is_invited_comes_with_the_role(
    office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    office.follow(TO_INVITE)
    assert office.page.heading == TO_INVITE
    office.press(INVITE, **TYPED)
    assert f"Приглашение отправлено на {NEW}" in office.named("done")
    line = next(each for each in office.every("person") if NEW in each)
    assert "Новикова Нина" in line
    assert "Контролёр" in line
    assert "приглашение ещё не принято" in line
    assert "ссылка до" in line
    letter = post.letters(NEW)[-1]
    assert (letter.subject, LOMOVA.short_name in letter.text) == (SUBJECT, True)
    assert "Роль: Контролёр" in letter.text
    found = known(NEW)
    assert (found.phone, found.role, found.organisations) == (
        "+79215550177",
        Role.CONTROLLER,
        ("ORG-004217",),
    )
    enrol_in(new_browser(), post.link(NEW))
    assert "настроен" in next(
        each for each in office.open("/people").every("person") if NEW in each
    )


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("email", "", "Введите адрес полностью"),
        ("email", "nobody", "Введите адрес полностью"),
        ("email", "a@b c.example", "Введите адрес"),
        ("name", " ", "Заполните поле"),
        ("name", "=cmd()", "не может начинаться"),
        ("name", "я" * 201, "Слишком длинно"),
        ("phone", "112", "Такого номера нет"),
        ("phone", "+7 495 123-45-67", "мобильный номер"),
        ("role", "", "Выберите роль"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_stays(
    office: Browser, post: Post, field: str, typed: str, says: str
) -> None:
    office.follow(TO_INVITE).press(INVITE, **TYPED | {field: typed})
    assert office.status == 422
    assert says in office.fault(field)
    fields = office.page.form_of(INVITE).fields
    assert {name: fields[name] for name in TYPED if name != field} == {
        name: words for name, words in TYPED.items() if name != field
    }
    assert not post.letters(NEW)


@pytest.mark.parametrize("role", ["administrator", "specialist", "root"])
def test_nobody_is_invited_to_more_than_a_user(office: Browser, role: str) -> None:
    office.open("/people/new").send("/people/new", **TYPED | {"role": role})
    assert office.status == 422
    assert "Выберите роль" in office.fault("role")
    assert known_or_none(NEW) is None


def test_a_colleague_is_not_invited_twice(
    loss: Loss, office: Browser, boss: Person, post: Post
) -> None:
    before = len(everything()["accounts"])
    for email in (loss.email.upper(), ADMINISTRATOR):
        office.open("/people/new").press(INVITE, **TYPED | {"email": email})
        assert office.status == 422
        assert "уже есть в списке" in office.fault("email")
    act(account.suspend, loss.owner.account, boss.account, "")
    office.press(INVITE, **TYPED | {"email": EMAIL})
    assert "приостановлена" in office.fault("email")
    assert len(everything()["accounts"]) == before
    assert known(EMAIL).role is Role.OPERATOR
    assert SUBJECT not in loss.subjects()


def test_without_the_key_of_accounts_nobody_is_taken_for_new(
    boss: Person, environment: dict[str, str]
) -> None:
    enrol(NEW, Role.OPERATOR)
    other = environment["PORTAL_DATA_KEYS"].replace("dGVzdHM", "ZGVzdHM")
    config.use(config.load(environment | {"PORTAL_DATA_KEYS": other}))
    with db.writing(), pytest.raises(UnreadableError, match=r"accounts\.email"):
        account.invite_person(boss.account, "ORG-004217", NEW, Role.OPERATOR, "", "", "")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR, Role.SPECIALIST])
def test_whose_account_it_is_elsewhere_nobody_learns(
    office: Browser, boss: Person, keep: Callable[..., None], role: Role
) -> None:
    keep("ORG-2")
    stranger = enrol("stranger@yug.example", role, "ORG-2", name="Чужая Анна")
    office.open("/people/new").press(INVITE, **TYPED | {"email": "Stranger@yug.example"})
    assert office.status == 422
    assert "Пригласить этот email нельзя" in office.fault("email")
    assert "роль" not in office.fault("email")
    assert "Чужая" not in office
    (line,) = events("invitation.refused")
    assert (line.chain, line.actor) == (boss.account.chain, boss.account.id)
    assert "yug" not in line.details
    assert stranger.account == known("stranger@yug.example")


def test_an_administrator_invites_fifty_in_an_hour(
    office: Browser, boss: Person, time: Time, post: Post, keep: Callable[..., None]
) -> None:
    keep("ORG-2")
    enrol("stranger@yug.example", Role.OPERATOR, "ORG-2")
    with db.writing():
        for number in range(49):
            typed = (f"n{number}@sever-trakt.example", Role.OPERATOR, "Иванов Иван", "", "")
            made = account.invite_person(boss.account, "ORG-004217", *typed)
            assert isinstance(made, account.Account)
        db.commit()
    office.open("/people/new").press(INVITE, **TYPED | {"email": "stranger@yug.example"})
    assert "Пригласить этот email нельзя" in office.fault("email"), "a guess counts as well"
    office.press(INVITE, **TYPED)
    assert office.status == 429
    assert "не больше 50 приглашений" in office.named("error")
    assert office.response.headers["Retry-After"]
    assert office.page.form_of(INVITE).fields["email"] == NEW
    assert known_or_none(NEW) is None
    time.passes(minutes=61)
    boss.sign_in(office)
    office.open("/people/new").press(INVITE, **TYPED)
    assert office.has("done")


def test_two_administrators_invite_the_same_person(
    office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR).sign_in(new_browser())
    office.open("/people/new")
    colleague.open("/people/new")
    pages = at_once(lambda: office.press(INVITE, **TYPED), lambda: colleague.press(INVITE, **TYPED))
    assert sorted(each.status for each in pages) == [200, 422]
    assert len(post.letters(NEW)) == 1


def test_an_old_form_invites_nobody_and_keeps_what_was_typed(office: Browser, post: Post) -> None:
    office.open("/people/new").press(INVITE, **TYPED | {"csrf_token": "old"})
    assert office.status == 422
    assert "Страница устарела" in office.named("error")
    assert not post.letters(NEW)
    assert office.press(INVITE, role="controller").has("done")


def test_an_invitation_is_sent_again(office: Browser, post: Post, time: Time) -> None:
    invite(NEW)
    assert len(post.letters(NEW)) == 1
    office.open("/people").press(INVITE_AGAIN)
    assert f"Приглашение отправлено на {NEW}" in office.named("done")
    old, new = (link_in(each.text) for each in post.letters(NEW))
    office.press(INVITE_AGAIN)
    assert office.status == 429
    assert "уже отправляли" in office.named("notice")
    assert 55 <= int(office.response.headers["Retry-After"]) <= 60
    stranger = Browser(office.client.application.test_client())
    assert stranger.open(old).status == 410
    assert stranger.open(new).page.heading == "Придумайте пароль"
    time.passes(days=8)
    assert stranger.open(new).status == 410
    boss_again = known(ADMINISTRATOR)
    with db.reading():
        assert account.may_invite_at(boss_again) is None


def test_an_invitation_is_withdrawn(
    office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    invited = invite(NEW)
    link = post.link(NEW)
    begun = new_browser().open(link).press("Продолжить", password=PASSWORD, again=PASSWORD)
    office.open("/people").press(WITHDRAW)
    assert "Приглашение отозвано" in office.named("done")
    line = next(each for each in office.every("person") if NEW in each)
    assert "приглашение не действует" in line
    assert WITHDRAW not in line
    assert begun.open("/devices/new").page.heading == "Вход", "who had begun is out"
    assert new_browser().open(link).status == 410
    half = new_browser().open("/signin").press("Войти", email=NEW, password=PASSWORD)
    assert half.status == 422, "nor does the password lead to another letter"
    office.send(f"/people/{invited.id}/uninvite")
    assert office.status == 409
    assert "Отзывать уже нечего" in office.named("notice")
    assert [each.actor for each in events("invitation.withdrawn")] == [known(ADMINISTRATOR).id]
    office.press(INVITE_AGAIN)
    assert office.has("done")
    assert new_browser().open(post.link(NEW)).page.heading == "Придумайте пароль"


def test_who_came_is_not_invited_again(loss: Loss, office: Browser) -> None:
    for verb, says in (("invite", "Приглашать уже не нужно"), ("uninvite", "Отзывать уже нечего")):
        office.send(f"/people/{loss.owner.account.id}/{verb}")
        assert office.status == 409
        assert says in office.named("notice")
    assert SUBJECT not in loss.subjects()


# The role

TO_ROLE = "Изменить роль"


def test_another_role_ends_the_sessions_and_is_told(loss: Loss, office: Browser) -> None:
    elsewhere = loss.owner.sign_in(loss.new_browser())
    office.open("/people").follow(TO_ROLE)
    assert "все сеансы сотрудника завершатся" in office
    office.press(TO_ROLE, role="manager")
    assert "Роль изменена" in office.named("done")
    assert "Управляющий" in line_of(office, loss.owner)
    assert elsewhere.open("/devices").page.heading == "Вход"
    assert "Изменена роль" in loss.subjects()
    (line,) = events("role.changed")
    assert line.actor == known(ADMINISTRATOR).id
    assert loss.owner.sign_in(elsewhere).page.heading == "Мои устройства"


def test_a_role_is_changed_five_times_a_day(loss: Loss, office: Browser) -> None:
    """Each change is a letter to the person, whom nobody asked."""
    path = f"/people/{loss.owner.account.id}/role"
    for role in ("manager", "operator") * 2 + ("manager",):
        assert office.open(path).press(TO_ROLE, role=role).has("done")
    letters = loss.subjects().count("Изменена роль")
    assert office.open(path).press(TO_ROLE, role="operator").status == 429
    assert "Роль этого сотрудника за сутки изменили уже 5 раз" in office
    assert known(loss.owner.account.email).role is Role.MANAGER
    assert loss.subjects().count("Изменена роль") == letters


def test_the_journal_says_from_where_an_administrator_acted(
    loss: Loss, office: Browser, time: Time
) -> None:
    loss.open()
    office.open("/people/new").press(
        "Отправить приглашение", email="n@sever-trakt.example", name="Новикова Н.", role="operator"
    )
    time.passes(minutes=2)
    office.open("/people").press("Пригласить ещё раз")
    office.open(f"/people/{loss.owner.account.id}/role").press(TO_ROLE, role="manager")
    names = ("account.created", "account.joined", "account.invited", "role.changed")
    lines = [row for name in (*names, "case.cancelled") for row in events(name)]
    done = {row.name: row.address for row in lines if row.actor == known(ADMINISTRATOR).id}
    assert done == dict.fromkeys((*names, "case.cancelled"), "10.20.4.2")


def test_another_role_stops_a_recovery(loss: Loss, office: Browser) -> None:
    loss.open()
    office.open(f"/people/{loss.owner.account.id}/role")
    assert "Восстановление доступа, которое идёт сейчас, остановится" in office
    office.press(TO_ROLE, role="manager")
    assert loss.case.reason is Reason.CHANGED


@pytest.mark.parametrize("role", ["administrator", "specialist", "", "root"])
def test_no_other_role_is_given(loss: Loss, office: Browser, role: str) -> None:
    address = f"/people/{loss.owner.account.id}/role"
    office.open(address).send(address, role=role, was="operator")
    assert office.status == 422
    assert "Выберите роль" in office.fault("role")
    assert known(EMAIL).role is Role.OPERATOR


def test_the_role_that_somebody_has_is_no_other(loss: Loss, office: Browser) -> None:
    office.open(f"/people/{loss.owner.account.id}/role").press(TO_ROLE, role="operator")
    assert office.status == 422
    assert "нынешняя роль" in office.fault("role")
    office.press(TO_ROLE, role="manager", csrf_token="old")
    assert "Страница устарела" in office.fault("role")
    assert not events("role.changed")


def test_who_comes_second_sees_what_the_role_is_now(loss: Loss, office: Browser) -> None:
    address = f"/people/{loss.owner.account.id}/role"
    second = tab(office).open(address)
    office.open(address).press(TO_ROLE, role="manager")
    second.press(TO_ROLE, role="controller")
    assert second.status == 409
    assert "уже изменили" in second.fault("role")
    assert "Сейчас роль — управляющий" in second
    assert second.page.form_of(TO_ROLE).fields["role"] == "controller", "what was chosen stays"
    assert known(EMAIL).role is Role.MANAGER
    assert second.press(TO_ROLE, role="controller").has("done")


# Many


def test_a_long_list_has_pages(office: Browser, boss: Person, time: Time) -> None:
    with db.writing():
        for number in range(120):
            time.passes(seconds=1)
            email = f"n{number:03}@sever-trakt.example"
            account.create(email, Role.OPERATOR, "ORG-004217", f"Сотрудник {number:03}", "", "")
        db.commit()
    seen = office.open("/people").every("person")
    assert len(seen) == 50
    assert ADMINISTRATOR in seen[0]
    while "Дальше" in office.page.links:
        seen += office.follow("Дальше").every("person")
    assert len(seen) == 121
    assert [line.split("@")[0][-4:] for line in seen[1:]] == [
        f"n{number:03}" for number in range(120)
    ]
    assert office.follow("К началу").every("person") == seen[:50]
    office.press("Найти сотрудника", email=" N077@sever-trakt.example ")
    assert ["077" in line for line in office.every("person")] == [True]
    office.press("Найти сотрудника", email="nobody@sever-trakt.example")
    assert "нет" in office.named("nobody")
    assert office.open("/people?after=nobody").status == 200


def test_nobody_of_another_organisation_is_found_by_email(
    office: Browser, keep: Callable[..., None]
) -> None:
    keep("ORG-2")
    enrol("c@yug.example", Role.OPERATOR, "ORG-2")
    office.open("/people?email=c@yug.example")
    assert office.has("nobody")
    assert not office.every("person")


def test_an_administrator_of_very_many_chooses_one(
    boss: Person, office: Browser, keep: Callable[..., None]
) -> None:
    with db.writing():
        for number in range(20):
            organisation.save(
                f"ORG-{number:02}",
                replace(LOMOVA, short_name=f"ООО «Рейс {number:02}»"),
                ADMINISTRATOR,
                "",
                "tests",
            )
            account.join(account.find(boss.account.id) or boss.account, f"ORG-{number:02}", "tests")
        db.commit()
    enrol("c@yug.example", Role.OPERATOR, "ORG-17")
    office.open("/people?organisation=ORG-004217")
    assert office.named("employer") == LOMOVA.short_name
    assert not office.every("choose-organisation")
    office.press("Найти организацию", find="рейс 17")
    assert office.every("choose-organisation") == ["ООО «Рейс 17»"]
    office.follow("ООО «Рейс 17»")
    assert office.named("employer") == "ООО «Рейс 17»"
    assert sorted("c@yug.example" in line for line in office.every("person")) == [False, True]
    office.follow(TO_INVITE).press(INVITE, **TYPED)
    assert known(NEW).organisations == ("ORG-17",)
    assert office.named("employer") == "ООО «Рейс 17»"
    assert "такой нет" in office.press("Найти организацию", find="ничья").named("no-organisation")


@pytest.mark.parametrize("organisation_id", ["ORG-2", "ORG-9", "'"])
@pytest.mark.parametrize("path", ["/people", "/people/new"])
def test_the_people_of_others_are_nobodys_to_see(
    office: Browser, boss: Person, keep: Callable[..., None], organisation_id: str, path: str
) -> None:
    keep("ORG-2")
    enrol("c@yug.example", Role.OPERATOR, "ORG-2")
    assert office.open(f"{path}?organisation={organisation_id}").status == 404
    assert "c@yug.example" not in office
    assert [each.actor for each in events("access.refused")] == [boss.account.id]


def test_nobody_is_invited_to_an_organisation_of_others(
    office: Browser, boss: Person, keep: Callable[..., None]
) -> None:
    keep("ORG-2")
    office.open("/people/new").send("/people/new?organisation=ORG-2", **TYPED)
    assert office.status == 404
    assert known_or_none(NEW) is None
    typed = (NEW, Role.OPERATOR, "Иванов Иван", "", "")
    refused = act(account.invite_person, boss.account, "ORG-2", *typed)
    assert refused is account.NotInvited.NOT_YOURS
    typed = (NEW, Role.ADMINISTRATOR, "Иванов Иван", "", "")
    refused = act(account.invite_person, boss.account, "ORG-004217", *typed)
    assert refused is account.NotInvited.NOT_YOURS


def test_from_the_journal_of_somebody_one_comes_back_to_their_list(
    boss: Person, keep: Callable[..., None], new_browser: Callable[..., Browser]
) -> None:
    keep("ORG-9", short_name="ООО «Южный путь»")
    act(account.join, boss.account, "ORG-9", "tests")
    operator = enrol("k.belov@sever-trakt.example", Role.OPERATOR, "ORG-9")
    office = boss.sign_in(new_browser("10.20.4.2"))
    office.open(f"/people/{operator.account.id}/journal").follow("Назад: Сотрудники")
    assert operator.account.email in office.named("person")


def known_or_none(email: str) -> account.Account | None:
    with db.reading():
        return account.find_by_email(email)


def known(email: str) -> account.Account:
    found = known_or_none(email)
    assert found
    return found


def link_in(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/invitation/\S+)", text)
    assert found
    return found[1]
