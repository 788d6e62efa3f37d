"""The way back of who lost a device, walked with scripts off (product.md, step by step)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from portal import access, account, clock, journal, recovery
from portal.account import Role
from portal.database import db
from portal.device.tables import devices
from portal.language import moment
from portal.limits import Limit
from portal.recovery import Reason, Standing
from tests.lost_device import (
    AGREE,
    ANYWAY,
    CODE,
    ENROL,
    HERE,
    JUDGE,
    LOST,
    NOTE,
    OPEN,
    OPENED,
    PHONE,
    REFUSED,
    REPLACED,
    SHOW,
    SOON,
    STOPPED,
    WRONG,
    Loss,
    cancel_in,
    events,
    everything,
    let_come,
    lose,
    press_twice,
    tab,
)
from tests.people import act, enrol, next_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

BACKUP = "Войти по резервному коду"
STOP = "Остановить"
KEPT = "Коды сохранены"
STALE = "Страница устарела"
STAFF = [Role.ADMINISTRATOR, Role.SPECIALIST]
OUTSIDE = "203.0.113.7"


@pytest.fixture
def loss(new_browser: Callable[..., Browser], post: Post, keep: Callable[..., None]) -> Loss:
    """An operator, of an organisation without administrators, who lost the device."""
    keep()
    return lose(new_browser, post)


@pytest.fixture
def lost(
    new_browser: Callable[..., Browser], post: Post, keep: Callable[..., None]
) -> Callable[..., Loss]:
    """The same for other people."""
    keep()
    return lambda role, **more: lose(new_browser, post, role, **more)


def keep_codes(browser: Browser) -> list[str]:
    """The ten codes are shown once; one is typed back."""
    codes = re.findall(r"<code>([0-9A-Z-]{19})</code>", browser.response.text)
    browser.press(KEPT, code=codes[3])
    return codes


# 1. A backup code at hand


def test_a_backup_code_takes_the_place_of_the_device(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.OPERATOR, codes=True)
    owner, browser = loss.owner, loss.computer
    owner.enter_password(browser).follow(BACKUP).press("Войти", code=owner.codes[4].lower())
    replacement = browser.named("replacement")
    assert browser.page.heading == "Новый код вместо использованного"
    assert replacement not in owner.codes
    assert "Использован резервный код" in loss.subjects()
    browser.press("Код записан")
    assert browser.page.heading == "Операционная часть"
    browser.open("/devices").press("Добавить устройство")
    secret = browser.named("secret").replace(" ", "")
    owner.secret, old_secret = secret, owner.secret
    next_code()
    browser.press("Добавить приложение", code=owner.code)
    assert browser.named("done") == "Устройство добавлено."
    assert "Добавлено устройство" in loss.subjects()
    elsewhere = loss.new_browser()
    owner.sign_in(elsewhere)
    assert elsewhere.page.heading == "Операционная часть"
    elsewhere = loss.new_browser()
    owner.enter_password(elsewhere).follow(BACKUP).press("Войти", code=owner.codes[4])
    assert "Неверный код" in elsewhere.fault("code")
    elsewhere.press("Войти", code=replacement)
    assert elsewhere.page.heading == "Новый код вместо использованного"
    owner.secret, elsewhere = old_secret, loss.new_browser()
    owner.sign_in(elsewhere)
    assert "Неверный код" in elsewhere.fault("code")


# 2. Neither device nor codes


def test_a_lost_device_is_replaced(  # noqa: PLR0915 - one story, told in one go
    lost: Callable[..., Loss], time: Time, post: Post
) -> None:
    loss = lost(Role.OPERATOR, codes=True)
    owner, computer, desk = loss.owner, loss.computer, loss.desk
    owner.sign_in(loss.new_browser(HERE))
    time.passes(days=30)
    assert loss.return_to_case().page.heading == "Восстановление доступа"
    computer.press(OPEN, service="cabinet")
    assert "Позвоните в поддержку" in computer.named("turn")
    assert "обращение номер 1" in computer.named("turn")
    assert cancel_in(loss.newest(OPENED))
    assert "начато восстановление доступа" in post.sms.arrived[-1].text

    number = loss.number()
    loss.specialist.sign_in(desk).open("/support/cases").follow("№ 1")
    assert desk.page.heading == "Обращение № 1"
    desk.press(SHOW, number=number)
    assert desk.named("number").startswith(number)
    assert "защищённый канал" in desk.named("channel")
    assert "входов: 1" in desk.named("seen-from")
    assert "знакомый адрес" in desk.named("seen-from")
    assert desk.named("browser") == "Chrome 156, Windows"
    assert "Ответьте на вопросы" in computer.open("/recovery").named("turn")

    desk.press(NOTE, answer_created=loss.answers["created"])
    assert "1 из 11" in desk.named("noted")
    loss.sit_down()
    assert desk.page.form_of(JUDGE).fields["answer_created"] == loss.answers["created"]
    desk.press(JUDGE, answer_second_factor=loss.answers["second_factor"])
    assert desk.status == 422
    assert desk.named("error") == "Записано 2 из 11. Сверить можно один раз."
    desk.press(ANYWAY)
    assert desk.named("standing") == "время ожидания идёт"
    assert "Ответов достаточно" in desk.named("turn")
    assert "Ответов достаточно" in computer.open("/recovery").named("turn")
    assert cancel_in(loss.newest(SOON))
    assert "код для нового устройства придёт на почту" in post.sms.arrived[-1].text

    until = moment(loss.case.expires_at)
    for words in (loss.newest(SOON), computer.named("turn"), desk.named("say")):
        assert until in words, "everybody knows how long the code will work"

    loss.let_wait(minutes=1)
    assert CODE not in loss.subjects()
    assert "теперь ждём" in loss.return_to_case().named("turn")
    time.passes(minutes=1)
    code = loss.code
    assert loss.subjects().count(CODE) == 1
    assert cancel_in(loss.newest(CODE))

    elsewhere = loss.return_to_case(loss.new_browser(HERE))
    assert "в том браузере" in elsewhere.named("turn")
    assert ENROL not in elsewhere.page.buttons
    elsewhere.follow("Устройство или код нашлись").send("/recovery/code", code=code)
    assert elsewhere.status == 422
    assert "в том браузере" in elsewhere.fault("code")
    waiting = owner.enter_password(loss.new_browser(HERE))
    assert waiting.page.heading == "Восстановление доступа"

    computer.open("/recovery").press(ENROL, code=code.lower().replace("-", " "))
    assert computer.page.heading == "Новое устройство"
    loss.add_device()
    assert computer.page.heading == "Резервные коды"
    codes = keep_codes(computer)
    assert len(set(codes)) == 10
    assert "Доступ восстановлен" in computer.named("done")
    assert len(computer.open("/devices").every("device")) == 1
    assert computer.named("codes-left") == "10 из 10"

    for browser in (elsewhere, waiting):
        assert browser.open("/signin/factor").page.heading == "Вход", "every other session ended"
    owner.sign_in(elsewhere)
    assert "Неверный код" in elsewhere.fault("code"), "the old device is dead"
    elsewhere.follow(BACKUP).press("Войти", code=owner.codes[1])
    assert "Неверный код" in elsewhere.fault("code"), "so are the old codes"
    owner.secret = loss.secret
    owner.sign_in(elsewhere)
    assert elsewhere.page.heading == "Операционная часть"
    assert loss.subjects()[-2:] == [REPLACED, "Новые резервные коды"]
    assert loss.sit_down().named("standing") == "доступ восстановлен"
    with db.reading():
        assert journal.first_broken_line() is None


def test_every_button_that_does_its_work_redirects(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)

    def is_redirected(browser: Browser) -> bool:
        return [each.status_code for each in browser.response.history] == [303]

    assert is_redirected(loss.open())
    assert is_redirected(loss.take())
    assert is_redirected(loss.desk.press(NOTE, answer_created="в марте"))
    assert is_redirected(loss.judge())
    assert is_redirected(loss.sit_down_second().press(AGREE))
    loss.let_wait()
    assert is_redirected(loss.return_to_case().press(ENROL, code=loss.code))
    assert is_redirected(loss.add_device())
    loss.owner.secret = loss.secret
    assert is_redirected(loss.open())
    assert is_redirected(loss.sit_down().press("Отказать и закрыть", reason=Reason.STRANGER))


def test_the_way_back_of_an_administrator_takes_eight_presses(lost: Callable[..., Loss]) -> None:
    """Counted in docs/decisions.md; whoever adds a page has to say why."""
    loss = lost(Role.ADMINISTRATOR)
    computer, pages = loss.computer, list[tuple[str, str]]()

    def press(button: str, **answers: str) -> None:
        pages.append((computer.page.heading, button))
        is_link = button in computer.page.links
        computer.follow(button) if is_link else computer.press(button, **answers)

    computer.open("/signin")
    press("Войти", email=loss.email, password=loss.owner.password)
    press(LOST)
    press(OPEN, service="cabinet")
    press("Диагностика компьютера")
    loss.take(computer.named("number"))
    loss.judge()
    loss.sit_down_second().press(AGREE)
    loss.let_wait()
    computer.open("/signin")
    press("Войти", email=loss.email, password=loss.owner.password)
    press(ENROL, code=loss.code)
    next_code()
    secret = computer.named("secret").replace(" ", "")
    press("Добавить приложение", code=pyotp.TOTP(secret).at(clock.now()))
    codes = re.findall(r"<code>([0-9A-Z-]{19})</code>", computer.response.text)
    press(KEPT, code=codes[0])
    assert "Доступ восстановлен" in computer.named("done")
    assert pages == [
        ("Вход", "Войти"),
        ("Подтвердите вход", LOST),
        ("Восстановление доступа", OPEN),
        ("Восстановление доступа", "Диагностика компьютера"),
        ("Вход", "Войти"),
        ("Восстановление доступа", ENROL),
        ("Новое устройство", "Добавить приложение"),
        ("Резервные коды", KEPT),
    ]
    assert loss.subjects() == [OPENED, SOON, CODE, REPLACED, "Новые резервные коды"]


@pytest.mark.parametrize("role", STAFF)
def test_an_administrator_and_a_specialist_wait_longer_and_need_a_second_specialist(
    lost: Callable[..., Loss], time: Time, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REFUSALS", (Limit(2, timedelta(hours=24)),))
    loss = lost(role)
    desk, other = loss.desk, loss.other_desk
    loss.wait()
    assert desk.named("standing") == "ждёт второго специалиста"
    assert AGREE not in desk.page.buttons
    assert "подтвердить может любой, кроме вас" in desk.named("turn")
    for _again in range(3):
        assert desk.send(f"{loss.address}/approve").status == 403
    assert len(events("case.approval_refused")) == 2, "who presses on and on fills no journal"
    letter = loss.newest(SOON)
    assert "второй специалист" in letter
    assert cancel_in(letter)

    loss.let_wait(minutes=1)
    assert "второй специалист" in loss.return_to_case().named("turn")
    loss.sit_down_second().press(AGREE)
    assert other.named("standing") == "время ожидания идёт"
    assert CODE not in loss.subjects()
    time.passes(minutes=1)
    loss.return_to_case().press(ENROL, code=loss.code)
    loss.add_device()
    keep_codes(loss.computer)
    assert "Доступ восстановлен" in loss.computer.named("done")
    case = loss.case
    assert case.wait_until
    assert case.decided_at
    assert (case.wait_until - case.decided_at).total_seconds() == 72 * 3600
    assert case.approved_by == loss.second.account.id


def test_the_second_specialist_may_come_after_the_wait(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)
    loss.wait()
    loss.let_wait()
    assert "Время ожидания прошло" in loss.return_to_case().named("turn")
    assert CODE not in loss.subjects()
    loss.sit_down_second().press(AGREE)
    assert loss.other_desk.named("standing") == "код у владельца"
    loss.computer.open("/recovery").press(ENROL, code=loss.code)
    assert loss.computer.page.heading == "Новое устройство"


def test_a_specialist_does_not_agree_in_the_own_case(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.SPECIALIST)
    own = loss.owner.sign_in(loss.new_browser("10.20.0.9"))
    loss.wait()
    own.open("/support/cases")
    for call in (own.open, lambda url: own.open("/support/cases").send(f"{url}/approve")):
        assert call(loss.address).status == 404
    assert len(events("case.own_refused")) == 2
    assert loss.case.approved_by is None


# 3. Refused


@pytest.mark.parametrize(
    "answers",
    [
        WRONG,
        WRONG | {"created": ""},
        WRONG | {"former_email": "a@b.example", "other": "Ничего."},
        {"created": "right", "second_factor": "01.02.2003"},
        {"created": "01.02.2003 04:05", "second_factor": "right"},
    ],
)
def test_not_enough_answers_end_the_case(loss: Loss, answers: dict[str, str]) -> None:
    loss.ask()
    asking = tab(loss.desk).open(loss.address)
    known = {key: loss.answers[key] if each == "right" else each for key, each in answers.items()}
    loss.judge(known)
    desk = loss.desk
    assert desk.named("standing") == "отказано"
    assert not any(desk.has(f"answer-{key}") for key in known), "nobody reads them any more"
    assert not loss.case.answers
    assert desk.named("turn") == (
        "Ответов оказалось недостаточно. Обращение закрыто. Звонящий может начать новое."
    )
    assert "Ответов недостаточно. Поищите прежнее устройство" in desk.named("say")
    assert not {SHOW, NOTE, JUDGE, AGREE, "Отказать и закрыть"} & desk.page.buttons.keys()
    before = everything()
    asking.press(JUDGE, **{f"answer_{key}": each for key, each in loss.answers.items()})
    assert asking.status == 409
    assert asking.named("standing") == "отказано"
    assert everything()["cases"] == before["cases"]
    last = loss.computer.open("/recovery").named("last-case")
    assert "По обращению № 1 отказано" in last
    assert "Ответов оказалось недостаточно" in last
    assert "позвоните в поддержку" in last
    letter = loss.newest(REFUSED)
    assert "ответов на вопросы оказалось недостаточно" in letter
    assert "8-800-333-30-92" in letter
    assert (
        loss.computer.press(OPEN, service="cabinet")
        .named("case-number")
        .startswith("Обращение № 2")
    )


def test_three_cases_a_day_and_no_more(loss: Loss) -> None:
    for _ in range(3):
        loss.ask()
        loss.judge(WRONG)
    loss.return_to_case().press(OPEN, service="school")
    assert loss.computer.status == 409
    assert "Сейчас восстановить доступ нельзя" in loss.computer.named("error")
    assert loss.computer.page.form_of(OPEN).fields["service"] == "school"
    assert loss.case.number == 3


@pytest.mark.parametrize("reason", [Reason.STRANGER, Reason.COMPUTER, Reason.WITHDRAWN])
def test_a_specialist_refuses_for_a_reason(loss: Loss, reason: Reason) -> None:
    loss.ask()
    loss.desk.press("Отказать и закрыть", reason=reason)
    assert loss.desk.named("standing") == "отказано"
    last = loss.computer.open("/recovery").named("last-case")
    assert "По обращению № 1 отказано" in last
    assert REFUSED in loss.subjects()


# 4. Cancelled by the owner


STEPS: dict[str, Callable[[Loss], object]] = {
    "opened": Loss.open,
    "asking": Loss.ask,
    "waiting": Loss.wait,
    "granted": Loss.grant,
    "enrolling": Loss.enter,
}
LETTERS = {
    "waiting": SOON,
    "granted": CODE,
    "enrolling": CODE,
}


@pytest.mark.parametrize("step", STEPS)
def test_the_owner_stops_it_by_the_link_in_any_letter(loss: Loss, step: str) -> None:
    STEPS[step](loss)
    link = cancel_in(loss.newest(LETTERS.get(step, OPENED)))
    anywhere = loss.new_browser(OUTSIDE)
    before = everything()
    for method in ("get", "head", "options"):
        anywhere.ask(method, link)
        anywhere.ask(method, "/cancel")
    assert everything() == before, "looking changes nothing"
    anywhere.open(link)
    assert anywhere.path == "/cancel", "the token leaves the address bar"
    assert anywhere.page.heading == "Остановить восстановление доступа?"
    press_twice(anywhere, STOP)
    assert anywhere.page.heading == "Восстановление остановлено"
    assert anywhere.open(link).status == 410
    assert STOP not in anywhere.page.buttons
    assert loss.case.reason is Reason.LINK
    assert loss.subjects().count(STOPPED) == 1
    if step != "opened":
        assert loss.sit_down().named("standing") == "остановлено"
    if step == "enrolling":
        assert loss.add_device().status == 401, "who was let in is let out"
        assert loss.owner.sign_in(loss.new_browser()).page.heading == "Операционная часть"
    else:
        last = loss.return_to_case().named("last-case")
        assert "Обращение № 1 остановлено" in last
        assert "из письма" in last


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("by", ["device", "code"])
def test_who_signs_in_after_all_stops_it(lost: Callable[..., Loss], step: str, by: str) -> None:
    loss = lost(Role.OPERATOR, codes=by == "code")
    STEPS[step](loss)
    found = loss.new_browser(HERE)
    if by == "device":
        loss.owner.sign_in(found)
    else:
        loss.owner.sign_in_by_code(found, loss.owner.codes[2])
        found.press("Код записан")
    assert found.page.heading == "Операционная часть"
    assert loss.case.reason is Reason.SIGN_IN
    assert loss.subjects().count(STOPPED) == 1
    if step == "asking":
        loss.judge()
        assert loss.desk.status == 409, "what the specialist shows is old"
        assert "Владелец вошёл со своим устройством" in loss.desk.named("turn")
    if step == "enrolling":
        assert loss.add_device().status == 401


@pytest.mark.parametrize("step", ["waiting", "granted", "enrolling"])
def test_a_new_password_by_letter_stops_it(loss: Loss, step: str) -> None:
    """It proves the mailbox alone, and the code goes there, too."""
    STEPS[step](loss)
    thief = loss.new_browser(HERE)
    thief.open("/password").press("Отправить письмо", email=loss.email)
    chosen = "восемь синих комбайнов стоят"
    thief.open(loss.post.link(loss.email)).press("Сохранить пароль", password=chosen, again=chosen)
    assert (loss.case.standing, loss.case.reason) == (Standing.CANCELLED, Reason.CHANGED)
    assert "email, роль или пароль" in loss.newest(STOPPED)
    if step == "waiting":
        clock.shift(timedelta(hours=25))
        assert CODE not in loss.subjects(), "it goes to nobody"
    if step == "enrolling":
        assert loss.add_device().status == 401
    loss.owner.password = chosen
    assert "изменили email, роль или пароль" in loss.return_to_case().named("last-case")
    loss.open()
    loss.take()
    loss.judge()
    assert loss.case.standing is Standing.APPROVAL, "two have to agree, after a longer wait"


def test_a_phone_with_a_wrong_clock_costs_no_recovery(loss: Loss) -> None:
    loss.enter()
    for _try in range(12):
        loss.computer.press("Добавить приложение", code="000000")
        assert loss.computer.status == 422
        assert "автоматическое время" in loss.computer.named("error")
    assert loss.case.standing is Standing.GRANTED
    assert loss.add_device().page.heading == "Резервные коды"


def test_a_link_to_a_finished_case_says_so(loss: Loss) -> None:
    loss.enter()
    link = cancel_in(loss.newest(CODE))
    loss.add_device()
    anywhere = loss.new_browser(OUTSIDE).open(link)
    assert anywhere.status == 410
    assert anywhere.page.heading == "Останавливать уже нечего"
    assert "сейчас же позвоните в поддержку" in anywhere


@pytest.mark.parametrize("forged", ["x", "A" * 22, "A" * 22 + "." + "B" * 43, "%00", "x" * 3000])
def test_a_forged_link_stops_nothing(loss: Loss, forged: str) -> None:
    loss.open()
    before = everything()
    anywhere = loss.new_browser(OUTSIDE)
    assert anywhere.open(f"/cancel/{forged}").status == 410
    assert anywhere.open("/cancel").status == 410
    assert anywhere.ask("post", "/cancel").status_code == 422
    assert everything() == before


def test_of_two_links_the_one_that_is_shown_stops_its_case(loss: Loss) -> None:
    loss.open()
    first = cancel_in(loss.newest(OPENED))
    loss.new_browser(OUTSIDE).open(first).press(STOP)
    loss.open()
    anywhere = loss.new_browser(OUTSIDE)
    anywhere.open(cancel_in(loss.newest(OPENED)))
    shown = anywhere.page
    anywhere.open(first)
    assert "Обращение № 1 остановлено" in anywhere
    anywhere.page = shown  # of the tab beside it
    assert "№ 2" in anywhere.press(STOP)
    assert anywhere.page.heading == "Восстановление остановлено"
    assert not loss.case.is_open


def test_a_case_is_stopped_by_who_opened_its_link_alone(loss: Loss) -> None:
    loss.open()
    anywhere = loss.new_browser(OUTSIDE)
    anywhere.open(cancel_in(loss.newest(OPENED)))
    assert anywhere.press(STOP, case="A" * 22).status == 410
    assert loss.case.is_open


def test_an_old_form_of_the_link_stops_nothing_and_is_shown_again(loss: Loss) -> None:
    loss.open()
    anywhere = loss.new_browser(OUTSIDE)
    anywhere.open(cancel_in(loss.newest(OPENED)))
    assert anywhere.press(STOP, csrf_token="old").status == 422
    assert STALE in anywhere.named("error")
    assert loss.case.is_open
    anywhere.press(STOP)
    assert not loss.case.is_open


# Every timer, a minute before and after


@pytest.mark.parametrize(("minute", "status"), [(14, 200), (16, 422)])
def test_a_number_may_be_told_for_a_quarter_of_an_hour(
    loss: Loss, minute: int, status: int
) -> None:
    loss.open()
    desk = loss.sit_down()
    made_at, number = clock.now(), loss.number()
    let_come(made_at + timedelta(minutes=minute))
    assert desk.press(SHOW, number=number).status == status
    assert ("15 минут" in desk.fault("number")) == (status == 422)


def test_a_computer_is_evidence_for_an_hour(loss: Loss) -> None:
    loss.ask()
    desk, checked_at = loss.desk, loss.checked_at
    for minute in (29, 57):  # a session that is not used ends after half an hour
        let_come(checked_at + timedelta(minutes=minute))
        loss.sit_down()
    let_come(checked_at + timedelta(minutes=59))
    assert JUDGE in loss.sit_down().page.buttons
    before = desk.page
    let_come(checked_at + timedelta(minutes=61))
    assert JUDGE not in loss.sit_down().page.buttons
    assert "Нужен новый номер диагностики" in desk.named("turn")
    desk.page = before
    loss.judge()
    assert desk.status == 409
    assert "старше 60 минут" in desk.named("error")
    fields = loss.sit_down().page.form_of(NOTE).fields
    assert fields["answer_created"] == loss.answers["created"], "nothing is typed twice"
    desk.press(SHOW, number=loss.number())
    assert loss.judge({}).named("standing") == "время ожидания идёт"


@pytest.mark.parametrize("step", ["opened", "asking"])
def test_a_case_lasts_three_days_until_its_answers_are_judged(loss: Loss, step: str) -> None:
    STEPS[step](loss)
    end = loss.case.opened_at + timedelta(hours=72)
    let_come(end, minutes=3)
    loss.sit_down()
    loss.return_to_case()
    let_come(end, minutes=1)
    assert loss.computer.open("/recovery").has("turn")
    assert loss.sit_down().named("standing") != "срок истёк"
    let_come(end + timedelta(minutes=1))
    old = SHOW if step == "opened" else NOTE
    assert loss.desk.press(old).status == 409
    assert loss.desk.named("standing") == "срок истёк"
    assert "Срок обращения № 1 истёк" in loss.computer.open("/recovery").named("last-case")
    loss.computer.press(OPEN, service="cabinet")
    assert "Обращение № 2" in loss.computer.named("case-number")


@pytest.mark.parametrize("role", [Role.OPERATOR, *STAFF])
def test_a_code_works_from_the_end_of_the_wait_for_a_day(
    lost: Callable[..., Loss], time: Time, role: Role
) -> None:
    loss = lost(role)
    loss.wait()
    if role in STAFF:
        loss.sit_down_second().press(AGREE)
    loss.let_wait(minutes=1)
    assert ENROL not in loss.return_to_case().page.buttons
    loss.computer.open("/signin/factor")
    assert loss.computer.send("/recovery/code", code="AAAA-AAAA").status == 409
    assert loss.case.tries == 0, "what is typed too early is not counted"
    time.passes(minutes=1)
    code, end = loss.code, loss.case.expires_at
    let_come(end, minutes=1)
    assert ENROL in loss.return_to_case().page.buttons
    let_come(end + timedelta(minutes=1))
    assert loss.computer.press(ENROL, code=code).status == 409
    assert "Срок обращения № 1 истёк" in loss.computer.named("last-case")


def test_a_second_specialist_agrees_within_a_day_of_the_wait(lost: Callable[..., Loss]) -> None:
    loss = lost(Role.ADMINISTRATOR)
    loss.wait()
    end = loss.case.expires_at
    let_come(end, minutes=1)
    asked = loss.sit_down_second()
    assert AGREE in asked.page.buttons
    let_come(end + timedelta(minutes=1))
    assert asked.press(AGREE).status == 409
    assert asked.named("standing") == "срок истёк"


@pytest.mark.parametrize(("minutes", "status"), [(9, 200), (11, 401)])
def test_enrolling_takes_ten_minutes_at_most(
    loss: Loss, time: Time, minutes: int, status: int
) -> None:
    loss.enter()
    time.passes(minutes=minutes)
    assert loss.add_device().status == status
    if status == 401:
        loss.return_to_case().press(ENROL, code=loss.code)
        assert loss.add_device().page.heading == "Резервные коды", "the code may be typed again"


@pytest.mark.parametrize(("minutes", "late"), [(9, False), (11, True)])
def test_a_password_waits_ten_minutes_for_what_follows(
    loss: Loss, time: Time, minutes: int, late: bool
) -> None:
    loss.grant()
    time.passes(minutes=minutes)
    loss.computer.press(ENROL, code=loss.code)
    assert loss.computer.has("late") is late
    if late:
        loss.return_to_case().press(ENROL, code=loss.code)
    assert loss.computer.page.heading == "Новое устройство"


# What is typed wrongly, twice, or too late


def test_a_wrong_code_says_how_many_tries_are_left_and_stays(loss: Loss) -> None:
    loss.grant()
    for left in (4, 3, 2, 1):
        loss.computer.press(ENROL, code="AAAA-AAAA")
        assert loss.computer.status == 422
        assert loss.computer.fault("code") == f"Неверный код. Осталось попыток: {left}."
        assert loss.computer.page.form_of(ENROL).fields["code"] == "AAAA-AAAA"
    for _press in range(5):
        loss.computer.press(ENROL, code=" ")
        assert (loss.computer.status, loss.computer.fault("code")) == (422, "Введите код.")
    loss.computer.press(ENROL, code="BBBB-BBBB")
    assert loss.computer.status == 422
    assert "пять раз" in loss.computer.named("last-case")
    assert loss.case.reason is Reason.TRIES
    assert REFUSED in loss.subjects()


def test_a_number_that_is_typed_twice_shows_the_computer(loss: Loss) -> None:
    loss.open()
    press_twice(loss.sit_down(), SHOW, number=loss.number())
    assert loss.desk.status == 200
    assert HERE in loss.desk.text


def test_the_answers_of_a_call_outlive_the_session(loss: Loss, time: Time) -> None:
    loss.ask()
    time.passes(minutes=31)
    loss.desk.press(NOTE, answer_created="19.11.2026 14:05", answer_other="живёт у моста")
    assert loss.desk.status == 401
    assert "живёт у моста" in loss.desk.named("written")
    assert "время по Москве? 19.11.2026 14:05" in loss.desk.named("written"), "with the question"
    assert "csrf" not in loss.desk.named("written")


def test_who_suspended_it_is_not_told_that_devices_work(loss: Loss) -> None:
    loss.wait()
    link = cancel_in(loss.newest(SOON))
    act(account.suspend, loss.owner.account, "tests", "")
    act(recovery.cancel_by_suspension, loss.owner.account, "tests", "")
    stopped = loss.new_browser(OUTSIDE).open(link)
    assert "учётную запись приостановили" in stopped.named("cancel-page")
    assert "работают" not in stopped.named("cancel-page")


def test_who_guesses_a_phone_is_told_no_other_reason(loss: Loss) -> None:
    wrong = {"email": loss.email, "phone": "+79215550100", "service": "cabinet"}
    desk = loss.specialist.sign_in(loss.desk)
    for _guess in range(21):
        desk.open("/support/cases/new").press("Открыть обращение", **wrong)
    assert "слишком часто отказывали" in desk.named("error")
    assert "три раза" not in desk.text


def test_the_code_of_another_case_is_worth_nothing(loss: Loss) -> None:
    neighbour = enrol("x@sever-trakt.example")
    other = Loss(neighbour, loss.specialist, loss.second, loss.new_browser, loss.post)
    for each in (loss, other):
        each.wait()
    other.let_wait()
    loss.return_to_case().press(ENROL, code=other.code)
    assert loss.computer.fault("code") == "Неверный код. Осталось попыток: 4."
    assert loss.computer.press(ENROL, code=loss.code).page.heading == "Новое устройство"


def test_a_service_has_to_be_chosen(loss: Loss) -> None:
    loss.return_to_case().press(OPEN)
    assert loss.computer.status == 422
    assert loss.computer.fault("service") == "Выберите, куда вы входили."
    assert loss.computer.send("/recovery", service="games").status == 422


def test_an_old_form_keeps_what_was_chosen_and_typed(loss: Loss) -> None:
    loss.return_to_case().press(OPEN, service="ofd", csrf_token="old")
    assert loss.computer.status == 422
    assert STALE in loss.computer.named("error")
    assert loss.computer.page.form_of(OPEN).fields["service"] == "ofd"
    loss.computer.press(OPEN)
    loss.take()
    loss.desk.press("Отказать и закрыть", reason=Reason.WITHDRAWN)
    loss.grant()
    code = loss.code
    loss.computer.press(ENROL, code=code, csrf_token="old")
    assert loss.computer.status == 422
    assert STALE in loss.computer.fault("code")
    assert loss.computer.press(ENROL).page.heading == "Новое устройство", "the code is still there"


def test_a_double_press_does_no_harm(loss: Loss) -> None:
    press_twice(loss.return_to_case(), OPEN, service="cabinet")
    assert loss.computer.status == 409
    assert "Обращение уже открыто" in loss.computer.named("error")
    assert "Позвоните в поддержку" in loss.computer.named("turn")
    assert loss.subjects().count(OPENED) == 1
    loss.take()
    loss.judge()
    loss.let_wait()
    press_twice(loss.return_to_case(), ENROL, code=loss.code)
    assert loss.computer.has("late"), "the answer to the first press was lost"
    loss.return_to_case().press(ENROL, code=loss.code)
    page = loss.computer.page
    loss.add_device()
    loss.computer.page = page
    loss.add_device()
    assert loss.computer.page.heading == "Резервные коды"
    keep_codes(loss.computer)
    assert len(loss.computer.open("/devices").every("device")) == 1


def test_a_second_tab_shows_how_far_the_first_has_come(loss: Loss) -> None:
    first = loss.return_to_case()
    second = tab(first).open("/recovery")
    first.press(OPEN, service="cabinet")
    assert second.press(OPEN, service="school").status == 409
    assert "Позвоните в поддержку" in second.named("turn")
    assert loss.case.service == "cabinet"
    loss.take()
    loss.judge()
    loss.let_wait()
    second = tab(loss.return_to_case()).open("/recovery")
    loss.computer.press(ENROL, code=loss.code)
    assert second.open("/recovery").page.heading == "Новое устройство"
    loss.add_device()
    keep_codes(loss.computer)
    assert second.open("/recovery").page.heading == "Мои устройства"


def test_a_case_that_ends_meanwhile_is_told_with_what_came_of_it(loss: Loss) -> None:
    computer = loss.grant()
    code = loss.code
    loss.sit_down().press("Отказать и закрыть", reason=Reason.STRANGER)
    assert computer.press(ENROL, code=code).status == 409
    assert "По обращению № 1 отказано" in computer.named("last-case")
    assert OPEN in computer.page.buttons


def test_a_window_that_polls_is_sent_on(loss: Loss, time: Time) -> None:
    """What htmx asks for is a part of the page; another page would be put inside this one."""
    computer = loss.open()
    poll = re.search(r'hx-get="(/recovery\?seen=\w+)"', computer.response.text)
    assert poll
    asked = {"HX-Request": "true", "HX-Target": "div#case"}

    def state() -> tuple[int, str | None]:
        answer = computer.ask("get", poll[1], headers=asked)
        return answer.status_code, answer.headers.get("HX-Redirect")

    assert state() == (204, None)
    loss.take()
    changed = computer.ask("get", poll[1], headers=asked)
    assert changed.text.lstrip().startswith('<div id="case"')
    time.passes(minutes=11)
    assert state() == (204, "/recovery?late=1")
    loss.judge()
    loss.let_wait()
    loss.return_to_case().press(ENROL, code=loss.code)
    assert state() == (204, "/devices/new")
    loss.add_device()
    keep_codes(computer)
    assert state() == (204, "/devices")


# Whose turn it is


def refused(loss: Loss) -> None:
    loss.ask()
    loss.judge(WRONG)


def cancelled(loss: Loss) -> None:
    loss.wait()
    loss.owner.sign_in(loss.new_browser())


def expired(loss: Loss) -> None:
    loss.wait()
    loss.let_wait(hours=-24)


def approved(loss: Loss) -> None:
    loss.wait()
    loss.sit_down_second().press(AGREE)


def completed(loss: Loss) -> None:
    loss.enter()
    loss.add_device()


TURNS: list[tuple[str, Callable[[Loss], object], Role, str, str, str]] = [
    (
        Standing.OPENED,
        Loss.open,
        Role.OPERATOR,
        "Позвоните в поддержку",
        "Ход за звонящим: он проходит диагностику",
        "прочитайте мне номер",
    ),
    (
        Standing.ASKING,
        Loss.ask,
        Role.OPERATOR,
        "Ответьте на вопросы специалиста",
        "Ход за вами: задайте вопросы",
        "",
    ),
    (
        Standing.APPROVAL,
        Loss.wait,
        Role.ADMINISTRATOR,
        "Решение должен подтвердить второй специалист",
        "Ход за вторым специалистом",
        "не раньше",
    ),
    (
        Standing.WAITING,
        approved,
        Role.ADMINISTRATOR,
        "Ответов достаточно, теперь ждём",
        "Вам больше ничего делать не нужно",
        "на почту придёт код",
    ),
    (
        Standing.WAITING,
        Loss.wait,
        Role.OPERATOR,
        "Ответов достаточно, теперь ждём",
        "Вам больше ничего делать не нужно",
        "на почту придёт код",
    ),
    (
        Standing.GRANTED,
        Loss.grant,
        Role.OPERATOR,
        "Вернитесь в браузер, где проходили диагностику",
        "Ход за владельцем: код у него",
        "Код у вас на почте",
    ),
    (
        Standing.COMPLETED,
        completed,
        Role.OPERATOR,
        "Обращение № 1 закончено: новое устройство добавлено",
        "Владелец добавил новое устройство",
        "",
    ),
    (
        Standing.REFUSED,
        refused,
        Role.OPERATOR,
        "По обращению № 1 отказано",
        "Ответов оказалось недостаточно",
        "Ответов недостаточно",
    ),
    (
        Standing.CANCELLED,
        cancelled,
        Role.OPERATOR,
        "Обращение № 1 остановлено",
        "Владелец вошёл со своим устройством",
        "начните новое",
    ),
    (
        Standing.EXPIRED,
        expired,
        Role.OPERATOR,
        "Срок обращения № 1 истёк",
        "Срок истёк. Обращение закрыто",
        "начните новое",
    ),
]


@pytest.mark.parametrize(
    ("standing", "step", "role", "person", "specialist", "say"),
    TURNS,
    ids=[f"{row[0]}-{row[2]}" for row in TURNS],
)
def test_both_sides_know_whose_turn_it_is(
    lost: Callable[..., Loss],
    standing: Standing,
    step: Callable[[Loss], object],
    role: Role,
    person: str,
    specialist: str,
    say: str,
) -> None:
    loss = lost(role)
    step(loss)
    if standing is Standing.COMPLETED:
        loss.owner.secret = loss.secret
    computer, desk = loss.return_to_case(loss.new_browser(HERE)), loss.sit_down()
    assert loss.case.standing is standing
    name = "turn" if loss.case.is_open else "last-case"
    assert person in computer.named(name)
    assert specialist in desk.named("turn")
    assert say in (desk.named("say") if desk.has("say") else "")
    assert desk.has("say") == bool(say)
    assert computer.has("support-phone")
    if loss.case.is_open:
        assert computer.page.links["Устройство или код нашлись"] == "/signin/factor"
    if not loss.case.is_open:
        assert OPEN in computer.page.buttons, "there is a way on"


def test_the_page_says_how_long_it_will_take_and_who_helps(
    lost: Callable[..., Loss],
) -> None:
    assert "нужно подождать 24 часа" in lost(Role.OPERATOR).return_to_case()


@pytest.mark.parametrize("role", STAFF)
def test_staff_read_of_three_days_and_two_specialists(
    lost: Callable[..., Loss], role: Role
) -> None:
    page = lost(role).return_to_case()
    assert "нужно подождать 72 часа" in page
    assert "второй специалист" in page


# Who comes without a password


def test_the_page_opens_after_the_password_only(loss: Loss) -> None:
    stranger = loss.new_browser().open("/recovery")
    assert stranger.page.heading == "Нет ни устройства, ни кодов"
    assert OPEN not in stranger.page.buttons
    stranger.follow("Ввести email и пароль")
    assert stranger.page.heading == "Вход"
    assert loss.new_browser(OUTSIDE).open("/recovery").status == 403


def test_who_is_signed_in_needs_no_case(loss: Loss) -> None:
    loss.owner.sign_in(loss.computer)
    assert loss.computer.open("/recovery").page.heading == "Мои устройства"


def test_the_page_names_the_account_only_so_far(loss: Loss) -> None:
    loss.wait()
    page = loss.return_to_case(loss.new_browser()).response.text
    assert "p…@sever-trakt.example" in page
    assert loss.email not in page
    assert PHONE not in page


def test_who_never_enrolled_is_sent_to_the_invitation(loss: Loss) -> None:
    with db.writing():
        db.execute(devices.delete())
        db.commit()
    browser = loss.owner.enter_password(loss.computer)
    assert LOST not in browser.page.links
    browser.open("/recovery").press(OPEN, service="cabinet")
    assert browser.status == 409
    assert "Откройте ссылку из письма с приглашением" in browser.named("error")
