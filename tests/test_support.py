"""The specialist's console of recoveries: what bad input gets, and what nobody is shown."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pysqlite3
import pytest

from portal import account, config, recovery
from portal.account import Role
from portal.database import db
from portal.diagnostics import diagnostics
from portal.recovery import Case, Reason, facts
from tests.lost_device import (
    AGREE,
    ANYWAY,
    CODE,
    EMAIL,
    ENROL,
    JUDGE,
    NOTE,
    OPENED,
    PHONE,
    REFUSED,
    SHOW,
    SOON,
    WRONG,
    Loss,
    Witness,
    at_once,
    code_in,
    events,
    everything,
    lose,
    press_twice,
    tab,
)
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser import Browser
    from tests.conftest import Post, Time

REFUSE = "Отказать и закрыть"
OPEN_BY_PHONE = "Открыть обращение"
STALE = "Страница устарела"
NOT_NOW = "Скажите звонящему: «Сейчас восстановить доступ нельзя. Попробуйте через несколько дней»."
CALLER = {"email": EMAIL, "phone": PHONE, "service": "cabinet"}


@pytest.fixture
def loss(new_browser: Callable[..., Browser], post: Post, keep: Callable[..., None]) -> Loss:
    keep()
    return lose(new_browser, post)


@pytest.fixture
def lost(
    new_browser: Callable[..., Browser], post: Post, keep: Callable[..., None]
) -> Callable[..., Loss]:
    keep()
    return lambda role, **more: lose(new_browser, post, role, **more)


def change(loss: Loss, field: str, value: str) -> None:
    with db.writing():
        owner = account.find(loss.owner.account.id)
        assert owner
        account.change(owner, field, value, "tests")
        db.commit()


def open_for(email: str) -> Case:
    """A case of somebody else; what opens it is walked elsewhere."""
    owner = enrol(email, name=email.partition("@")[0]).account
    with db.writing():
        opened = recovery.open_by_owner(owner, "ofd", "10.20.4.17")
        db.commit()
    assert isinstance(opened, Case)
    return opened


# The computer's number


def mistyped(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)


@pytest.mark.parametrize("typed", ["", "48 21", "ё" * 20, "mistyped", "shuffled"])
def test_a_mistyped_number_is_asked_for_again(loss: Loss, typed: str) -> None:
    loss.open()
    number = loss.number()
    wrong = {"mistyped": mistyped(number), "shuffled": number[1:] + number[0]}.get(typed, typed)
    loss.take(wrong or " ")
    assert loss.desk.status == 422
    assert "Попросите прочитать его ещё раз" in loss.desk.fault("number")
    assert loss.desk.page.form_of(SHOW).fields["number"] == (wrong or " ")
    assert loss.desk.named("standing") == "ждёт звонка"
    assert "прочитайте мне номер" in loss.desk.named("say")
    loss.desk.press(SHOW, number=number.replace(" ", "-"))
    assert loss.desk.named("standing") == "специалист спрашивает"


def test_a_number_that_is_nobodys_is_unknown(loss: Loss) -> None:
    loss.open()
    number = loss.number()
    with db.writing():
        db.execute(diagnostics.delete())
        db.commit()
    loss.take(number)
    assert loss.desk.status == 422
    assert loss.desk.fault("number").startswith("Такого номера нет.")


def test_an_old_number_is_asked_for_anew(loss: Loss, time: Time) -> None:
    loss.open()
    number = loss.number()
    time.passes(minutes=16)
    loss.take(number)
    assert loss.desk.status == 422
    assert "15 минут" in loss.desk.fault("number")
    assert "пройти диагностику заново" in loss.desk.fault("number")


def test_a_number_counts_once(loss: Loss, lost: Callable[..., Loss]) -> None:
    loss.open()
    number = loss.number()
    loss.take(number)
    assert loss.desk.press(SHOW, number=number).status == 200, "pressed again"
    assert len(events("case.asking")) == 1
    other = open_for("x@sever-trakt.example")
    desk = loss.second.sign_in(loss.other_desk).open(f"/support/cases/{other.id}")
    desk.press(SHOW, number=number)
    assert desk.status == 422
    assert "уже вводили" in desk.fault("number")
    assert desk.named("standing") == "ждёт звонка"


def test_the_computer_of_another_account_is_foreign(loss: Loss) -> None:
    other = open_for("x@sever-trakt.example")
    loss.open()
    number = loss.number()
    desk = loss.specialist.sign_in(loss.desk).open(f"/support/cases/{other.id}")
    desk.press(SHOW, number=number)
    assert desk.status == 422
    assert desk.fault("number") == (
        "Номер чужой: на этом компьютере входят в другую учётную запись."
    )
    assert desk.page.form_of(SHOW).fields["number"] == number
    assert events("case.number_refused")
    assert not desk.has("channel"), "it is shown to nobody"


def test_the_computer_of_nobody_who_signed_in_will_do(loss: Loss) -> None:
    """The password may have been typed too long ago: it waits ten minutes."""
    loss.open()
    with db.writing():
        from portal.account.tables import sessions

        db.execute(sessions.delete())
        db.commit()
    loss.take()
    assert loss.desk.named("standing") == "специалист спрашивает"


@pytest.mark.parametrize(
    ("address", "words"),
    [("10.20.4.17", "защищённый канал портала"), ("203.0.113.5", "вне защищённого канала")],
)
def test_the_specialist_sees_where_the_computer_is(loss: Loss, address: str, words: str) -> None:
    loss.open()
    loss.computer.address = address
    loss.take()
    assert loss.desk.named("channel") == words
    assert address in loss.desk
    assert "ни разу" in loss.desk.named("seen-from")
    assert "новый адрес" in loss.desk.named("seen-from")


def test_the_channel_of_the_own_organisation_is_told_apart(
    loss: Loss, keep: Callable[..., None]
) -> None:
    keep(networks="10.20.4.0/24")
    loss.ask()
    assert loss.desk.named("channel") == "защищённый канал организации"


# Who may do what


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR])
def test_the_console_is_for_specialists(loss: Loss, role: Role) -> None:
    loss.open()
    other = enrol("x@sever-trakt.example", role)
    browser = other.sign_in(loss.new_browser())
    before = everything()
    for url in ("/support/cases", "/support/cases/new", loss.address):
        assert browser.open(url).status == 403
        assert browser.page.heading == "Эта страница не для вашей роли"
    browser.open("/devices")
    for step in ("number", "answers", "approve", "refuse"):
        assert browser.send(f"{loss.address}/{step}", reason="stranger").status == 403
        browser.open("/devices")
    assert len(events("access.refused")) == 7
    assert everything()["cases"] == before["cases"]


def test_a_stranger_is_asked_to_sign_in(loss: Loss) -> None:
    loss.open()
    stranger = loss.new_browser()
    for url in ("/support/cases", loss.address):
        assert stranger.open(url).page.heading == "Вход"
    for step in ("number", "answers", "approve", "refuse"):
        assert stranger.ask("post", f"{loss.address}/{step}").status_code == 401


@pytest.mark.parametrize("forged", ["x", "A" * 22, "%00", "1", "ё" * 40])
def test_a_forged_case_is_not_there_and_noted(loss: Loss, forged: str) -> None:
    loss.specialist.sign_in(loss.desk)
    assert loss.desk.open(f"/support/cases/{forged}").status == 404
    for step in ("number", "answers", "approve", "refuse"):
        loss.desk.open("/support/cases")
        assert loss.desk.send(f"/support/cases/{forged}/{step}").status == 404
    noted = events("case.forged")
    assert len(noted) == 5
    assert {row.actor for row in noted} == {loss.specialist.account.id}


def test_the_own_case_is_not_there_and_noted(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.SPECIALIST)
    own = loss.owner.sign_in(loss.new_browser("10.20.0.9"))
    loss.open()
    assert own.open(loss.address).status == 404
    for step in ("number", "answers", "approve", "refuse"):
        own.open("/support/cases")
        assert own.send(f"{loss.address}/{step}", reason="stranger").status == 404
    assert len(events("case.own_refused")) == 5
    assert loss.case.is_open


def test_who_does_not_work_on_a_case_asks_nothing_but_may_stop_it(loss: Loss) -> None:
    loss.ask()
    other = loss.sit_down_second()
    assert "Спрашивает Орлова Мария" in other.named("turn")
    assert "если специалиста нет на месте" in other.named("turn").lower()
    assert not {SHOW, NOTE, JUDGE, AGREE} & other.page.buttons.keys()
    assert other.send(f"{loss.address}/number", number="1").status == 409
    assert other.send(f"{loss.address}/answers", decide="y", answer_other="x").status == 409
    assert other.send(f"{loss.address}/approve").status == 409
    assert loss.case.specialist_id == loss.specialist.account.id
    assert not loss.case.answers
    other.open(loss.address).press(REFUSE, reason="withdrawn")
    assert other.named("standing") == "отказано"
    assert loss.open().named("case-number").startswith("Обращение № 2"), "the person begins anew"


def test_every_look_is_in_the_journal_once_a_day(lost: Callable[..., Loss], time: Time) -> None:
    loss = lost(Role.ADMINISTRATOR)
    loss.open()
    loss.sit_down_second()
    assert not events("case.looked_up"), "there is nothing to see yet"
    loss.take()
    for _look in range(3):
        loss.sit_down()
        loss.sit_down_second()
    ids = [loss.specialist.account.id, loss.second.account.id]
    assert [row.actor for row in events("case.looked_up")] == ids
    loss.judge()
    time.passes(hours=25)
    loss.sit_down_second()
    assert [row.actor for row in events("case.looked_up")] == [*ids, ids[0], ids[1]]
    time.passes(hours=25)
    desk = loss.second.sign_in(loss.other_desk)
    for button in ("refuse", "number"):  # a page that says what was wrong shows it, too
        assert desk.send(f"{loss.address}/{button}").status >= 400
    assert [row.actor for row in events("case.looked_up")][4:] == [ids[1]]


@pytest.mark.sqlite
def test_looking_once_more_waits_for_no_writer(loss: Loss) -> None:
    loss.ask()
    loss.sit_down_second()
    with closing(pysqlite3.connect(db.url.removeprefix("sqlite:///"))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert loss.other_desk.open(loss.address).status == 200


def test_nobody_finds_a_phone_by_guessing(loss: Loss) -> None:
    desk = loss.specialist.sign_in(loss.desk).open("/support/cases/new")
    who = {"email": loss.email, "service": "cabinet"}
    for number in range(20):
        desk.press(OPEN_BY_PHONE, **who, phone=f"+7921555{number:04}")
        assert desk.status == 422
    desk.press(OPEN_BY_PHONE, **who, phone=PHONE)
    assert desk.status == 409
    assert len(events("case.denied")) == 20


def test_of_a_case_of_an_administrator_the_specialists_may_only_stop_it(
    lost: Callable[..., Loss],
) -> None:
    """And one that an administrator opened is about no service at all."""
    loss = lost(Role.OPERATOR)
    administrator = enrol("a@sever-trakt.example", Role.ADMINISTRATOR)
    desk = loss.specialist.sign_in(loss.desk)
    with db.writing():
        recovery.grant_by_administrator(administrator.account, loss.owner.account, "10.20.4.1")
        db.commit()
    desk.open(loss.address)
    assert desk.named("standing") == "код у владельца"
    assert desk.page.buttons.keys() == {"Выйти", REFUSE}
    for step in ("number", "answers", "approve"):
        assert desk.send(f"{loss.address}/{step}", decide="y").status == 409
    assert "—" in desk.open("/support/cases").every("case")[0]
    desk.open(loss.address).press(REFUSE, reason="withdrawn")
    assert "Владелец попросил остановить" in desk.named("turn")
    assert "нас попросили остановить" in loss.newest(REFUSED)
    assert "администратор организации отозвал" not in loss.newest(REFUSED)


# Two specialists, two tabs, two presses


def test_of_two_specialists_the_first_to_type_the_number_asks(loss: Loss) -> None:
    loss.open()
    first, second = loss.sit_down(), loss.sit_down_second()
    numbers = [loss.number(), loss.number()]
    first.press(SHOW, number=numbers[0])
    second.press(SHOW, number=numbers[1])
    assert second.status == 409
    assert "уже занимается другой специалист" in second.named("error")
    assert "Спрашивает Орлова Мария" in second.named("turn")


def test_of_two_specialists_at_once_one_asks(loss: Loss) -> None:
    loss.open()
    first, second = loss.sit_down(), loss.sit_down_second()
    numbers = [loss.number(), loss.number()]
    at_once(
        lambda: first.press(SHOW, number=numbers[0]),
        lambda: second.press(SHOW, number=numbers[1]),
    )
    assert sorted((first.status, second.status)) == [200, 409]
    assert len(events("case.asking")) == 1


def test_of_two_presses_at_once_one_is_judged(loss: Loss) -> None:
    loss.ask()
    one, other = tab(loss.desk).open(loss.address), tab(loss.desk).open(loss.address)
    typed = {f"answer_{key}": words for key, words in loss.answers.items()}
    other.client = loss.new_browser().client
    cookie = one.client.get_cookie("session")
    assert cookie
    other.client.set_cookie("session", cookie.value)
    one.press(JUDGE, **typed)
    other.press(JUDGE, **typed)
    at_once(lambda: one.press(ANYWAY, **typed), lambda: other.press(ANYWAY, **typed))
    assert sorted((one.status, other.status)) == [200, 409]
    assert loss.subjects().count(SOON) == 1


def insist(loss: Loss) -> None:
    """One answer is noted, and the portal asked whether to judge nevertheless."""
    loss.ask().press(JUDGE, answer_created="19.11.2026 14:05")


@pytest.mark.parametrize(
    ("step", "button", "answers", "status"),
    [
        (Loss.open, SHOW, {"number": "number"}, 200),
        (Loss.ask, NOTE, {"answer_created": "в марте"}, 200),
        (insist, ANYWAY, {"answer_created": "19.11.2026 14:05"}, 409),
        (Loss.ask, REFUSE, {"reason": Reason.COMPUTER}, 409),
    ],
)
def test_a_double_press_counts_once(
    loss: Loss,
    step: Callable[[Loss], object],
    button: str,
    answers: dict[str, str],
    status: int,
) -> None:
    step(loss)
    if "number" in answers:
        answers = {"number": loss.number()}
    press_twice(loss.desk if step is insist else loss.sit_down(), button, **answers)
    assert loss.desk.status == status
    assert len(events("case.asking")) == 1
    assert len(events("case.refused")) <= 1
    assert loss.subjects().count(REFUSED) <= 1


def test_a_double_press_agrees_once(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)
    loss.wait()
    press_twice(loss.sit_down_second(), AGREE)
    assert loss.other_desk.status == 409
    assert loss.other_desk.named("standing") == "время ожидания идёт"
    assert len(events("case.approved")) == 1


def test_a_second_tab_shows_what_is_true_now(loss: Loss) -> None:
    loss.ask()
    old = tab(loss.desk).open(loss.address)
    loss.judge()
    for button in (SHOW, NOTE, JUDGE):
        page = old.page
        assert old.press(button).status == 409
        assert old.named("standing") == "время ожидания идёт"
        assert "вот как оно выглядит" in old.named("error")
        old.page = page
    old.press(REFUSE, reason=Reason.STRANGER)
    assert old.named("standing") == "отказано", "that may still be done"


def test_notes_are_kept_while_it_is_asked(loss: Loss) -> None:
    loss.ask()
    loss.desk.press(NOTE, answer_created=" март 2024 ", answer_other="x" * 400)
    assert loss.desk.status == 200
    assert "2 из 11" in loss.desk.named("noted")
    fields = loss.sit_down().page.form_of(NOTE).fields
    assert fields["answer_created"] == "март 2024"
    assert fields["answer_other"] == "x" * 300
    assert loss.case.standing == "asking"


def test_nothing_at_all_is_not_judged(loss: Loss) -> None:
    """An answer is judged once: a slip of the hand is no answer."""
    loss.ask()
    loss.judge({})
    assert loss.desk.status == 422
    assert "хотя бы один ответ" in loss.desk.named("error")
    assert loss.judge().named("standing") == "время ожидания идёт"


def test_missing_answers_are_asked_for_once_more(loss: Loss) -> None:
    loss.ask().press(JUDGE, answer_created=loss.answers["created"])
    assert loss.desk.status == 422
    assert loss.desk.named("error") == "Записано 1 из 11. Сверить можно один раз."
    assert JUDGE not in loss.desk.page.buttons
    assert loss.case.standing == "asking"
    assert loss.case.answers["created"] == loss.answers["created"], "nothing is typed twice"
    loss.desk.press(NOTE, answer_second_factor=loss.answers["second_factor"])
    assert ANYWAY not in loss.desk.page.buttons
    loss.desk.press(JUDGE)
    assert loss.desk.press(ANYWAY).named("standing") == "время ожидания идёт"


UNREADABLE = {
    "created": ("в марте", "Не понять дату и время. Пишите так: 19.11.2026 09:30."),
    "second_factor": ("в 20 году", "Не понять дату. Пишите день, месяц и год: 19.11.2026."),
    "former_phone": ("8 921", "Не понять номер. Пишите его целиком: +7 921 555-01-47."),
    "former_email": ("morozova", "Не понять email. Пишите его целиком: i.lomova@example.ru."),
}


@pytest.mark.parametrize("key", UNREADABLE)
def test_an_answer_that_cannot_be_read_is_pointed_at_and_nothing_is_judged(
    loss: Loss, key: str
) -> None:
    typed, words = UNREADABLE[key]
    loss.ask().press(JUDGE, **{f"answer_{key}": typed})
    assert loss.desk.status == 422
    assert loss.desk.fault(f"answer_{key}").startswith(words)
    assert loss.desk.page.form_of(JUDGE).fields[f"answer_{key}"] == typed
    assert "исправьте отмеченные" in loss.desk.named("error")
    assert loss.case.standing == "asking"
    assert loss.case.answers[key] == typed
    assert not events("case.looked_up")[1:], "no fact was looked at"
    assert ANYWAY not in loss.desk.page.buttons
    loss.desk.press(
        JUDGE,
        **{f"answer_{key}": ""} | {f"answer_{each}": words for each, words in loss.answers.items()},
    )
    assert loss.desk.press(ANYWAY).named("standing") == "время ожидания идёт"


def test_lists_and_numbers_are_read_before_they_are_judged(loss: Loss) -> None:
    for service, key, wrong, right in (
        ("focus", "check_dates", "12 и 17 ноября 2026", "12 ноября 2026 и 17.11.2026"),
        ("ofd", "registers", "несколько", "3"),
    ):
        loss.open(service)
        loss.take()
        loss.desk.press(JUDGE, **{f"answer_{key}": wrong})
        assert loss.desk.fault(f"answer_{key}").startswith("Не понять")
        loss.desk.press(JUDGE, **{f"answer_{key}": right})
        assert "Сверить можно один раз" in loss.desk.named("error")
        loss.desk.press(REFUSE, reason=Reason.COMPUTER)


def test_each_question_says_how_its_answer_is_written(loss: Loss) -> None:
    loss.ask()
    for words in ("например, 19.11.2026 09:30", "например, 19.11.2026", "не сверяется"):
        assert words in loss.desk


def test_an_old_form_keeps_what_was_typed(loss: Loss) -> None:
    loss.open()
    number = loss.number()
    desk = loss.sit_down().press(SHOW, number=number, csrf_token="old")
    assert desk.status == 422
    assert STALE in desk.named("error")
    assert desk.page.form_of(SHOW).fields["number"] == number
    desk.press(SHOW)
    for button in (NOTE, JUDGE):
        desk.press(button, answer_created="в марте", csrf_token="old")
        assert desk.status == 422
        assert STALE in desk.named("error")
        assert desk.page.form_of(button).fields["answer_created"] == "в марте"
    assert not loss.case.answers
    desk.press(REFUSE, reason=Reason.COMPUTER, csrf_token="old")
    assert desk.status == 422
    assert desk.page.form_of(REFUSE).fields["reason"] == Reason.COMPUTER
    assert loss.case.is_open
    assert desk.press(REFUSE).named("standing") == "отказано"


def test_a_refusal_needs_its_reason(loss: Loss) -> None:
    loss.ask()
    loss.desk.press(REFUSE)
    assert loss.desk.status == 422
    assert loss.desk.fault("reason") == "Выберите причину отказа."
    assert re.search(r"<details[^>]* open>", loss.desk.response.text), "the field is in sight"
    assert loss.desk.send(f"{loss.address}/refuse", reason="answers").status == 422
    assert loss.case.is_open


# What changes on the owner's side meanwhile


def test_who_signs_in_meanwhile_ends_it_with_the_reason(loss: Loss) -> None:
    loss.ask()
    loss.owner.sign_in(loss.new_browser())
    for button in (JUDGE, NOTE, SHOW, REFUSE):
        page = loss.desk.page
        answers = {"reason": Reason.STRANGER} if button == REFUSE else {}
        assert loss.desk.press(button, **answers).status == 409
        assert loss.desk.named("standing") == "остановлено"
        assert "Владелец вошёл со своим устройством" in loss.desk.named("turn")
        loss.desk.page = page


def test_a_new_email_stops_the_verdict(loss: Loss, time: Time) -> None:
    loss.ask()
    change(loss, "email", "new@sever-trakt.example")
    loss.judge()
    assert loss.desk.status == 409
    assert "Email учётной записи изменили меньше 7 дней назад" in loss.desk.named("error")
    assert loss.desk.named("say") == NOT_NOW
    assert loss.case.answers["created"] == loss.answers["created"]
    assert loss.case.decided_at is None


def test_a_new_email_stops_the_second_specialist(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)
    loss.wait()
    change(loss, "email", "new@sever-trakt.example")
    other = loss.sit_down_second().press(AGREE)
    assert other.status == 409
    assert "изменили меньше 7 дней назад" in other.named("error")
    assert loss.case.approved_by is None
    other.press(REFUSE, reason=Reason.STRANGER)
    assert other.named("standing") == "отказано"


# A caller who cannot open a case


def new_case(loss: Loss, **answers: str) -> Browser:
    desk = loss.desk.open("/support/cases")
    if desk.page.heading == "Вход":
        loss.specialist.sign_in(desk)
    return desk.follow("Открыть по звонку").press(OPEN_BY_PHONE, **CALLER | answers)


@pytest.mark.parametrize("phone", [PHONE, "8 (921) 555-01-99", "+7 921 555 01 99"])
def test_a_case_is_opened_for_who_calls(loss: Loss, phone: str) -> None:
    new_case(loss, phone=phone, email=EMAIL.upper())
    assert loss.desk.status == 200
    assert loss.desk.page.heading == "Обращение № 1"
    assert "Поддержке позвонили" in loss.newest(OPENED)
    assert "обращение номер 1" in loss.return_to_case().named("turn")


@pytest.mark.parametrize(
    "answers",
    [
        {"email": "nobody@sever-trakt.example"},
        {"email": ""},
        {"phone": "+79215550000"},
        {"phone": ""},
        {"phone": "не помнит"},
    ],
)
def test_email_and_phone_must_be_of_one_account(loss: Loss, answers: dict[str, str]) -> None:
    new_case(loss, **answers)
    assert loss.desk.status == 422
    assert loss.desk.fault("email") == loss.desk.fault("phone")
    assert "с таким email и таким телефоном нет" in loss.desk.fault("phone")
    assert "телефона в ней просто не записали" in loss.desk.fault("phone")
    assert "Проверьте email и телефон" in loss.desk.named("say")
    fields = loss.desk.page.form_of(OPEN_BY_PHONE).fields
    assert {name: fields[name] for name in CALLER} == CALLER | answers


def test_the_service_has_to_be_chosen_and_the_rest_stays(loss: Loss) -> None:
    new_case(loss, service="")
    assert loss.desk.status == 422
    assert loss.desk.fault("service") == "Выберите, куда входил звонящий."
    assert loss.desk.page.form_of(OPEN_BY_PHONE).fields["phone"] == PHONE
    loss.desk.press(OPEN_BY_PHONE, service="ofd", csrf_token="old")
    assert loss.desk.status == 422
    assert STALE in loss.desk.named("error")
    assert loss.desk.page.form_of(OPEN_BY_PHONE).fields["service"] == "ofd"
    assert loss.desk.press(OPEN_BY_PHONE).page.heading == "Обращение № 1"


def test_a_new_email_is_a_reason_for_the_specialist_alone(loss: Loss, time: Time) -> None:
    change(loss, "email", "new@sever-trakt.example")
    time.passes(days=6, hours=23)
    new_case(loss, email="new@sever-trakt.example")
    assert loss.desk.status == 409
    assert "изменили меньше 7 дней назад" in loss.desk.named("error")
    assert loss.desk.named("say") == NOT_NOW
    assert "email" not in loss.desk.named("say").lower()
    time.passes(hours=1)
    new_case(loss, email="new@sever-trakt.example")
    assert loss.desk.page.heading == "Обращение № 1"


def test_a_second_case_leads_to_the_first(loss: Loss) -> None:
    loss.open()
    new_case(loss)
    assert loss.desk.status == 409
    assert "уже идёт" in loss.desk.named("error")
    assert loss.desk.follow("Открыть обращение № 1").path == loss.address


def test_too_many_cases_are_a_reason_for_the_specialist_alone(loss: Loss) -> None:
    for _ in range(3):
        new_case(loss).press(REFUSE, reason=Reason.WITHDRAWN)
    new_case(loss)
    assert loss.desk.status == 409
    assert "три раза" in loss.desk.named("error")
    assert loss.desk.named("say") == NOT_NOW


def test_nobody_opens_their_own(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.SPECIALIST)
    own = loss.owner.sign_in(loss.new_browser("10.20.0.9")).open("/support/cases")
    own.follow("Открыть по звонку")
    own.press(OPEN_BY_PHONE, **CALLER | {"email": loss.email})
    assert own.status == 409
    assert own.named("error") == "Свой доступ восстанавливает другой специалист."


def test_a_double_press_opens_one(loss: Loss) -> None:
    loss.specialist.sign_in(loss.desk).open("/support/cases").follow("Открыть по звонку")
    press_twice(loss.desk, OPEN_BY_PHONE, **CALLER)
    assert loss.desk.status == 409
    assert loss.desk.has("known-case")
    assert loss.case.number == 1


# The list


@pytest.fixture
def many(loss: Loss, time: Time) -> Loss:
    """23 open cases, 22 that expired, and one that was refused."""
    for number in range(22):
        open_for(f"x{number}@sever-trakt.example")
    time.passes(hours=73)
    for number in range(23):
        open_for(f"y{number}@sever-trakt.example")
        time.passes(minutes=1)
    loss.open()
    loss.take()
    loss.judge(WRONG)
    return loss


def numbers(desk: Browser) -> list[int]:
    return [int(number) for row in desk.every("case") for number in re.findall(r"№ (\d+)", row)]


def walk(desk: Browser) -> list[list[int]]:
    pages = [numbers(desk)]
    while desk.has("next-page"):
        pages.append(numbers(desk.follow("Дальше")))
    return pages


def test_a_list_of_many_has_pages(many: Loss) -> None:
    desk = many.desk.open("/support/cases")
    assert walk(desk) == [list(range(23, 43)), [43, 44, 45]], "open ones, the oldest first"
    assert numbers(desk.follow("К началу")) == list(range(23, 43))
    ended = walk(desk.follow("Закрытые"))
    assert ended == [[46, *range(22, 3, -1)], [3, 2, 1]], "the newest first"
    every = walk(desk.follow("Все"))
    assert [len(page) for page in every] == [20, 20, 6]
    assert sorted(number for page in every for number in page) == list(range(1, 47))


def test_each_page_polls_for_itself(many: Loss) -> None:
    desk = many.desk.open("/support/cases?which=ended").follow("Дальше")
    poll = re.search(r'hx-get="([^"]+)"', desk.response.text)
    assert poll
    asked = {"HX-Request": "true", "HX-Target": "div#cases"}
    part = desk.ask("get", poll[1].replace("&amp;", "&"), headers=asked)
    assert part.text.strip().startswith('<div id="cases"')
    found = re.findall(r"№\s(\d+)", part.text.replace("\N{NO-BREAK SPACE}", " "))
    assert found == ["3", "2", "1"]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", "after=" + "9" * 40])
def test_a_forged_page_is_no_error(loss: Loss, query: str) -> None:
    loss.open()
    loss.specialist.sign_in(loss.desk)
    assert loss.desk.open(f"/support/cases?which=all&{query}").status == 200
    assert loss.desk.open("/support/cases?which=mine").status == 404


def test_an_empty_list_says_so(loss: Loss) -> None:
    loss.specialist.sign_in(loss.desk)
    assert "Таких обращений нет." in loss.desk.open("/support/cases?which=ended")


def test_a_list_names_states(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)

    def state() -> str:
        return loss.desk.open("/support/cases?which=all").named("standing")

    loss.ask()
    assert state() == "специалист спрашивает"
    assert loss.desk.named("worker") == "Орлова Мария"
    loss.sit_down()
    loss.judge()
    assert state() == "ждёт второго специалиста"
    loss.sit_down_second().press(AGREE)
    assert state() == "время ожидания идёт"
    loss.let_wait()
    loss.sit_down()
    assert state() == "код у владельца"
    assert loss.desk.open("/support/cases").every("case")
    loss.let_wait(hours=-24)
    loss.sit_down()
    assert state() == "срок истёк"
    assert not loss.desk.open("/support/cases").every("case")


# What nobody is shown


TRUE = {
    "former_name": "Морозова Анна Петровна",
    "former_email": "morozova@old.example",
    "former_phone": "+79215550333",
}


def test_no_page_shows_a_code_a_secret_or_what_is_true(
    lost: Callable[..., Loss], time: Time
) -> None:
    loss = lost(Role.ADMINISTRATOR, codes=True)
    with db.writing():
        facts.keep(loss.owner.account.id, "cabinet", "certificate_owner", "Зимин Лев Ильич", "x")
        facts.keep(loss.owner.account.id, "cabinet", "certificate_until", "17.03.2031", "x")
        db.commit()
    for field, old in (("name", TRUE["former_name"]), ("phone", TRUE["former_phone"])):
        now = getattr(loss.owner.account, field)
        change(loss, field, old)
        change(loss, field, now)
    time.passes(days=90)
    loss.desk, loss.other_desk = desks = Witness(loss.desk), Witness(loss.other_desk)
    loss.ask()
    loss.desk.press(NOTE, answer_created="в марте", answer_former_name="Зимина")
    loss.desk.press(SHOW, number="123")
    loss.judge()
    loss.sit_down_second().press(AGREE)
    loss.let_wait()
    loss.sit_down()
    code = loss.code
    loss.return_to_case().press(ENROL, code=code)
    loss.add_device()
    loss.sit_down()
    loss.desk.open("/support/cases?which=all")
    pages = "\n".join(page for desk in desks for page in desk.seen)
    assert len(desks[0].seen) > 8
    secrets = [loss.owner.secret, loss.secret, code, code.replace("-", ""), *loss.owner.codes]
    secrets += ["Морозова", TRUE["former_phone"][-7:], "Лев", "17.03.2031", "cancel/"]
    secrets += re.findall(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}", loss.computer.response.text)
    assert [each for each in secrets if each in pages] == []
    assert loss.email not in pages, "a name is enough"


def bare(html: str) -> str:
    """A page without what differs from case to case, and without what was typed."""
    typed = r'<td data-testid="answer-\w+">.*?</td>'
    own = r'value="[^"]+"|cases/[\w-]{22}|№\s\d+|\d{3} \d{3} \d{3}|seen=\w+'
    moments = r"\d\d\.\d\d\.\d{4}|\d\d:\d\d"
    return re.sub(f"{typed}|{own}|{moments}", "", html)


@pytest.mark.parametrize("enough", [True, False])
def test_a_verdict_reads_the_same_whichever_answers_were_right(loss: Loss, enough: bool) -> None:
    with db.writing():
        facts.keep(loss.owner.account.id, "cabinet", "certificate_until", "17.03.2031", "x")
        db.commit()
    right = loss.answers | {"certificate_until": "17.03.2031"}
    wrong = WRONG | {"certificate_until": "01.02.2003"}
    pages = set()
    for key in right:
        loss.ask()
        loss.judge(right | {key: wrong[key]} if enough else wrong | {key: right[key]})
        assert ("Ответов достаточно" in loss.desk) is enough
        pages.add(bare(loss.desk.response.text))
        if enough:
            loss.desk.press(REFUSE, reason=Reason.COMPUTER)
    assert len(pages) == 1


def test_the_code_goes_to_the_owner_alone(loss: Loss, post: Post) -> None:
    loss.grant()
    code = loss.code
    for each in post.email.arrived:
        if each.recipient != loss.email:
            assert code not in each.text
    assert not any(code in each.text for each in post.sms.arrived)
    assert code_in(loss.newest(CODE)) == code
    assert code not in str(everything())


def test_a_service_that_is_gone_is_told(loss: Loss, tmp_path: Path) -> None:
    loss.ask()
    other = tmp_path / "questions.toml"
    other.write_text(
        '[shop]\nname = "Магазин"\nenough = 1\n'
        '[[shop.questions]]\nkey = "last"\ntext = "Что купили?"\nkind = "text"\n'
    )
    config.use(replace(config.settings, questions_file=str(other)))
    desk = loss.sit_down()
    assert "Вопросов для этого сервиса больше нет" in desk.named("turn")
    assert not {NOTE, JUDGE} & desk.page.buttons.keys()
    assert desk.send(f"{loss.address}/answers", decide="y").status == 409
