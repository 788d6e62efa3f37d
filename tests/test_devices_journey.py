"""«Мои устройства», walked with scripts off: what may be changed, by whom, and who is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from sqlalchemy import select

from portal import clock
from portal.database import db, metadata
from portal.routes import devices
from tests.authenticator import Authenticator
from tests.people import (
    BACKUP_CODE,
    END_ALL,
    NO_BACKUP_CODE,
    Person,
    codes_on,
    cookie_of,
    enrol,
    is_in,
    next_code,
    plant,
    secret_on,
    tries_left,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

    NewBrowser = Callable[..., Browser]

EMAIL = "p.petrov@sever-trakt.example"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
ADD, NEW_CODES, KEPT = "Добавить устройство", "Получить новые коды", "Коды сохранены"
ADD_APP, ADD_KEY, BY_KEY = "Добавить приложение", "Добавить ключ доступа", "Войти с ключом доступа"
DROP, END = "Удалить", "Завершить"
CHANGE, CONFIRM = "Изменить", "Подтвердить"


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(EMAIL, codes=True)


@pytest.fixture
def inside(petrov: Person, browser: Browser) -> Browser:
    """His browser, signed in a moment ago."""
    browser.headers = {"User-Agent": AGENT}
    return petrov.sign_in(browser).open("/devices")


def shown(secret: str) -> str:
    """What an app with that secret shows now."""
    return pyotp.TOTP(secret).at(clock.now())


def everything() -> dict[str, list[Any]]:
    """All rows, but for when the browsers were seen."""
    with db.reading():
        return {
            table.name: [
                tuple(value for name, value in row._asdict().items() if name != "seen_at")
                for row in db.all(select(table))
            ]
            for table in metadata.sorted_tables
        }


def subjects(post: Post) -> list[str]:
    return [each.subject for each in post.letters(EMAIL)]


def count(browser: Browser, name: str) -> int:
    return browser.response.text.count(f'data-testid="{name}"')


def fields(browser: Browser, button: str) -> dict[str, str]:
    return browser.page.form_of(button).fields


# The page


def test_the_page_says_what_there_is(
    inside: Browser, petrov: Person, new_browser: NewBrowser
) -> None:
    petrov.sign_in_by_code(new_browser("10.20.9.99"), petrov.codes[0])
    inside.open("/devices")
    assert inside.page.heading == "Мои устройства"
    for words in (
        "Петров Пётр Петрович",
        EMAIL,
        "Приложение-аутентификатор",
        "9 из 10",
        "10.20.4.17",
        "10.20.9.99",
        "Chrome 142, Windows",
        "код из приложения",
        "резервный код",
    ):
        assert words in inside, words
    assert (count(inside, "device"), count(inside, "sign-in")) == (1, 2)


def test_the_page_shows_no_secret(inside: Browser, petrov: Person) -> None:
    inside.press(NEW_CODES)
    codes = codes_on(inside)
    inside.press(KEPT, code=codes[0]).press(ADD)
    secret = secret_on(inside)
    inside.press(ADD_APP, code=shown(secret))
    text = inside.open("/devices").response.text
    assert not BACKUP_CODE.search(text)
    for each in (secret, petrov.secret, petrov.password):
        assert each not in text.replace(" ", "")


# A second factor of the last five minutes


def test_after_five_minutes_every_change_asks_for_the_second_factor(
    app: Flask, inside: Browser, petrov: Person, time: Time
) -> None:
    token = fields(inside, ADD)["csrf_token"]
    with db.reading():
        own = db.one(select(metadata.tables["devices"].c.id)).id
    time.passes(minutes=5)
    before, walked = everything(), set()
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("devices.") or rule.endpoint in devices.LOOKS:
            continue
        url = app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, own))
        for method in (rule.methods or set()) & {"GET", "POST"}:
            form = {"csrf_token": token, "code": petrov.code, "name": "Моё"}
            answer = inside.ask(method.lower(), url, data=form, follow_redirects=False)
            assert (answer.status_code, answer.location) == (303, "/check"), rule
            walked.add((method, rule.endpoint))
    assert len(walked) >= 11
    assert everything() == before
    inside.open("/devices")
    for name in ("add-device", "new-codes", "end-sessions", "end-session", "drop"):
        assert not inside.has(name)
    assert inside.named("change") == CHANGE


def test_a_second_factor_gives_five_minutes(inside: Browser, petrov: Person, time: Time) -> None:
    time.passes(minutes=20)
    inside.open("/devices").press(CHANGE)
    assert (inside.path, inside.page.heading) == ("/check", "Подтвердите, что это вы")
    petrov.step_up(inside)
    assert (inside.path, inside.has("add-device")) == ("/devices", True)
    time.passes(minutes=4, seconds=50)
    assert inside.open("/devices").has("add-device")
    assert inside.press(NEW_CODES).path == "/devices/codes"
    time.passes(seconds=11)
    assert not inside.open("/devices").has("add-device")
    assert inside.open("/devices/codes").path == "/check"


def test_new_codes_are_made_ten_times_in_an_hour(
    inside: Browser, petrov: Person, time: Time
) -> None:
    for _set in range(9):  # the first one he has already
        inside.open("/devices").press(NEW_CODES)
        assert inside.path == "/devices/codes"
    inside.open("/devices").press(NEW_CODES)
    assert inside.status == 429
    assert "не больше десяти наборов" in inside.named("notice")
    assert 3500 <= int(inside.response.headers["Retry-After"]) <= 3600
    time.passes(minutes=61)
    petrov.sign_in(inside)
    assert inside.open("/devices").press(NEW_CODES).path == "/devices/codes"


@pytest.mark.parametrize("typed", ["000", "не код", NO_BACKUP_CODE])
def test_without_one_nothing_opens(inside: Browser, petrov: Person, time: Time, typed: str) -> None:
    time.passes(minutes=6)
    inside.open("/devices").press(CHANGE).press(CONFIRM, code=typed)
    assert (inside.status, tries_left(inside)) == (422, 9)
    assert not inside.open("/devices").has("add-device")


def test_a_code_that_signed_in_gives_no_step_up(
    inside: Browser, petrov: Person, time: Time
) -> None:
    time.passes(minutes=6)
    inside.open("/devices").press(CHANGE)
    next_code()
    used = petrov.code
    assert inside.press(CONFIRM, code=used).path == "/devices"
    inside.open("/check").press(CONFIRM, code=used)
    assert inside.status == 422


def test_a_backup_code_does_and_is_replaced(
    inside: Browser, petrov: Person, time: Time, post: Post
) -> None:
    time.passes(minutes=6)
    inside.open("/devices").press(CHANGE).press(CONFIRM, code=petrov.codes[0].lower())
    assert inside.path == "/devices/codes/replacement"
    new = inside.named("replacement")
    assert subjects(post)[-1] == "Использован резервный код"
    inside.press("Код записан")
    assert (inside.path, inside.has("add-device")) == ("/devices", True)
    inside.open("/check").press(CONFIRM, code=petrov.codes[0])
    assert inside.status == 422
    assert inside.press(CONFIRM, code=new).path == "/devices/codes/replacement"


def test_a_code_that_was_not_written_down_yet_is_found_again(
    petrov: Person, new_browser: NewBrowser, time: Time
) -> None:
    inside = petrov.sign_in_by_code(new_browser(), petrov.codes[0])
    new = inside.named("replacement")
    inside.open("/devices").press(ADD)
    inside.open("/devices").press(NEW_CODES)
    inside.open("/devices").follow("Показать его")
    assert inside.named("replacement") == new, "other steps have left it alone"
    time.passes(minutes=6)
    inside.open("/devices/codes/replacement")
    assert petrov.step_up(inside).path == "/devices/codes/replacement"
    time.passes(minutes=6)
    page = inside.page
    inside.press("Код записан", csrf_token="old")
    assert (inside.status, new in inside) == (422, False), "whoever has the cookie is shown nothing"
    inside.page = page
    inside.press("Код записан")
    assert inside.path != "/check", "it shows nothing, so it asks for nothing"
    assert not inside.open("/devices").has("replacement-waits")


def test_new_codes_replace_what_was_not_written_down(
    petrov: Person, new_browser: NewBrowser
) -> None:
    inside = petrov.sign_in_by_code(new_browser(), petrov.codes[0])
    inside.open("/devices").press(NEW_CODES)
    inside.press(KEPT, code=codes_on(inside)[2])
    assert not inside.open("/devices").has("replacement-waits"), "it is of a set that is gone"


def test_a_passkey_that_fails_takes_nothing_away(
    inside: Browser, petrov: Person, time: Time
) -> None:
    key = add_passkey(inside)
    inside.open("/devices").press(ADD)
    secret = secret_on(inside)
    time.passes(minutes=6)
    assert inside.open("/devices/new").path == "/check"
    asked = inside.ask("post", "/check/passkey/options", data=fields(inside, BY_KEY))
    inside.press(BY_KEY, answer=key.sign(asked.text)[:-20])
    assert inside.status == 422
    petrov.step_up(inside)
    assert (inside.path, secret_on(inside)) == ("/devices/new", secret)


def test_a_passkey_does(inside: Browser, petrov: Person, time: Time) -> None:
    key = add_passkey(inside)
    time.passes(minutes=6)
    inside.open("/devices").press(CHANGE)
    asked = inside.ask("post", "/check/passkey/options", data=fields(inside, BY_KEY))
    answer = key.sign(asked.text)
    inside.press(BY_KEY, answer=answer)
    assert (inside.path, inside.has("add-device")) == ("/devices", True)
    inside.open("/check").press(BY_KEY, answer=answer)
    assert "Ключ доступа не подошёл." in inside
    assert tries_left(inside) == 9


def test_the_step_up_is_one_sessions_own(
    inside: Browser, petrov: Person, new_browser: NewBrowser, time: Time
) -> None:
    other = petrov.sign_in(new_browser())
    time.passes(minutes=6)
    inside.open("/devices").press(CHANGE)
    petrov.step_up(inside)
    assert not other.open("/devices").has("add-device")


def test_who_took_longer_than_five_minutes_goes_on_where_they_were(
    inside: Browser, petrov: Person, time: Time
) -> None:
    inside.press(ADD)
    secret = secret_on(inside)
    time.passes(minutes=6)
    assert inside.press(ADD_APP, code=shown(secret)).path == "/check"
    petrov.step_up(inside)
    assert (inside.path, secret_on(inside)) == ("/devices/new", secret)
    next_code()
    inside.press(ADD_APP, code=shown(secret)).press(NEW_CODES)
    codes = codes_on(inside)
    time.passes(minutes=6)
    assert inside.press(KEPT, code=codes[1]).path == "/check"
    inside.press(CONFIRM, code=petrov.codes[0])
    assert inside.press("Код записан").path == "/devices/codes"
    assert codes_on(inside) == codes
    assert inside.press(KEPT, code=codes[1]).named("done").startswith("Новые коды действуют")


# Devices


def add_passkey(browser: Browser, name: str = "Рабочий ноутбук") -> Authenticator:
    """What the page's script does with its button."""
    key = Authenticator()
    browser.open("/devices").press(ADD)
    asked = browser.ask("post", "/devices/new/passkey/options", data=fields(browser, ADD_KEY))
    assert asked.mimetype == "application/json"
    browser.press(ADD_KEY, answer=key.register(asked.text), name=name)
    assert browser.named("done") == "Устройство добавлено."
    return key


def test_a_new_phone_takes_the_place_of_the_old_one(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    inside.press(ADD)
    assert "заменит прежнее, как только вы введёте код из него" in inside
    secret = secret_on(inside)
    assert petrov.sign_in(new_browser()).path == "/operations", "the old one works till then"
    inside.press(ADD_APP, code=shown(secret))
    assert (inside.path, inside.named("done")) == ("/devices", "Устройство добавлено.")
    assert count(inside, "device") == 1
    assert "10 из 10" in inside.named("codes-left"), "codes are not for one device"
    letter = post.letters(EMAIL)[-1]
    assert letter.subject == "Добавлено устройство"
    assert "IP-адрес: 10.20.4.17" in letter.text
    assert petrov.sign_in(new_browser()).status == 422
    petrov.secret = secret
    assert petrov.sign_in(new_browser()).path == "/operations"
    assert is_in(inside)


def test_a_passkey_is_added_beside_the_app(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    key = add_passkey(inside)
    assert count(inside, "device") == 2
    assert "Рабочий ноутбук" in inside
    assert subjects(post) == ["Добавлено устройство"]
    other = petrov.enter_password(new_browser())
    asked = other.ask("post", "/signin/passkey/options", data=fields(other, BY_KEY))
    assert other.press(BY_KEY, answer=key.sign(asked.text)).path == "/operations"
    assert petrov.sign_in(new_browser()).path == "/operations"


def test_a_passkeys_answer_adds_one_device(inside: Browser) -> None:
    key = Authenticator()
    inside.press(ADD)
    asked = inside.ask("post", "/devices/new/passkey/options", data=fields(inside, ADD_KEY))
    form = fields(inside, ADD_KEY) | {"answer": key.register(asked.text)}
    for _press in range(3):
        inside.ask("post", "/devices/new/passkey", data=form)
    assert count(inside.open("/devices"), "device") == 2


@pytest.mark.parametrize("answer", ["", "{}", "не ответ", '{"id": "AAAA"}'])
def test_a_bad_answer_adds_no_passkey(inside: Browser, answer: str) -> None:
    inside.press(ADD)
    inside.ask("post", "/devices/new/passkey/options", data=fields(inside, ADD_KEY))
    inside.press(ADD_KEY, answer=answer)
    assert inside.status == 422
    assert "Ключ доступа не удалось добавить" in inside.named("passkey-error")
    assert count(inside.open("/devices"), "device") == 1


def test_a_picture_that_was_not_asked_for_is_not_there(inside: Browser) -> None:
    assert inside.open("/devices/new").path == "/devices"
    inside.press(ADD)
    first = secret_on(inside)
    inside.open("/devices").press(ADD)
    assert secret_on(inside) != first
    assert inside.press(ADD_APP, code=shown(first)).status == 422, "an older picture"


def test_wrong_codes_of_a_new_app_pause_nobody(inside: Browser, petrov: Person) -> None:
    """The page shows the secret: who guesses its code has won nothing."""
    inside.press(ADD)
    for _try in range(12):
        assert inside.press(ADD_APP, code=petrov.wrong).status == 422
    assert count(inside.open("/devices"), "device") == 1
    assert petrov.account.pause_ends_at is None


def test_a_device_is_dropped_and_the_owner_told(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    add_passkey(inside)
    inside.press(DROP)  # the last of both, which is the passkey
    assert inside.named("done") == "Устройство удалено."
    assert count(inside, "device") == 1
    letter = post.letters(EMAIL)[-1]
    assert letter.subject == "Удалено устройство"
    assert "IP-адрес: 10.20.4.17" in letter.text
    other = petrov.enter_password(new_browser())
    assert not other.has("passkey")
    asked = other.ask("post", "/signin/passkey/options", data=fields(other, "Войти"))
    assert '"allowCredentials": []' in asked.text


def test_the_last_device_cannot_be_dropped(inside: Browser, post: Post) -> None:
    assert not inside.has("drop")
    with db.reading():
        own = db.one(select(metadata.tables["devices"].c.id)).id
    form = {"csrf_token": fields(inside, ADD)["csrf_token"]}
    answer = inside.ask("post", f"/devices/{own}/drop", data=form)
    assert answer.status_code == 409
    assert "Последнее устройство удалить нельзя" in answer.text.replace("\N{NO-BREAK SPACE}", " ")
    assert count(inside.open("/devices"), "device") == 1
    assert subjects(post) == []


def test_of_two_devices_dropped_at_once_one_stays(inside: Browser) -> None:
    add_passkey(inside)
    with db.reading():
        both = [row.id for row in db.all(select(metadata.tables["devices"].c.id))]
    form = {"csrf_token": fields(inside, ADD)["csrf_token"]}

    def drop(id: str) -> int:
        return inside.ask("post", f"/devices/{id}/drop", data=form).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(drop, both)) == [200, 409]
    assert count(inside.open("/devices"), "device") == 1


def test_a_device_that_is_gone_is_not_dropped_again(inside: Browser, post: Post) -> None:
    add_passkey(inside)
    form = inside.page.form_of(DROP)
    inside.press(DROP)
    answer = inside.ask("post", form.action, data=form.fields)
    assert answer.status_code == 404
    assert "Такого устройства у вас нет." in answer.text.replace("\N{NO-BREAK SPACE}", " ")
    assert subjects(post).count("Удалено устройство") == 1


# Backup codes


def test_new_codes_count_once_one_is_typed_back(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    inside.press(NEW_CODES)
    new = codes_on(inside)
    assert len(new) == 10
    assert not set(new) & set(petrov.codes)
    assert petrov.sign_in_by_code(new_browser(), new[0]).status == 422
    old = petrov.sign_in_by_code(new_browser(), petrov.codes[0])
    assert old.has("replacement"), "the older ones work till then"
    inside.press(KEPT, code=petrov.codes[1])
    assert inside.status == 422
    inside.press(KEPT, code=new[0])
    assert (inside.path, "10 из 10" in inside.named("codes-left")) == ("/devices", True)
    letter = post.letters(EMAIL)[-1]
    assert letter.subject == "Новые резервные коды"
    assert not BACKUP_CODE.search(letter.text)
    assert petrov.sign_in_by_code(new_browser(), petrov.codes[1]).status == 422
    assert petrov.sign_in_by_code(new_browser(), old.named("replacement")).status == 422
    assert petrov.sign_in_by_code(new_browser(), new[0]).has("replacement"), "it was not spent"
    assert inside.open("/devices/codes").path == "/devices"


def test_codes_that_nobody_kept_are_shown_again_and_replaced_by_newer_ones(
    inside: Browser,
) -> None:
    inside.press(NEW_CODES)
    first = codes_on(inside)
    assert codes_on(inside.open("/devices/codes")) == first, "until one is typed back"
    inside.open("/devices").press(NEW_CODES)
    assert not set(codes_on(inside)) & set(first)
    assert inside.press(KEPT, code=first[0]).status == 422


# Sessions


def test_one_session_is_ended(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    first, second = petrov.sign_in(new_browser()), petrov.sign_in(new_browser())
    inside.open("/devices")
    assert count(inside, "end-session") == 2, "not its own"
    form = inside.page.form_of(END)  # of the oldest
    inside.press(END)
    assert inside.named("done") == "Сеансы завершены."
    assert [is_in(each) for each in (inside, second, first)] == [True, True, False]
    assert subjects(post) == ["Сеансы завершены"]
    answer = inside.ask("post", form.action, data=form.fields)
    assert answer.status_code == 404
    assert subjects(post) == ["Сеансы завершены"]


def test_all_others_are_ended(
    inside: Browser, petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    others = [petrov.sign_in(new_browser()), petrov.enter_password(new_browser())]
    stolen = plant(new_browser(), cookie_of(others[0]))
    inside.open("/devices").press(END_ALL)
    assert [is_in(each) for each in (inside, stolen, *others)] == [True, False, False, False]
    assert others[1].open("/signin/factor").path == "/signin"
    assert subjects(post) == ["Сеансы завершены"]
    inside.open("/devices")
    assert (count(inside, "sign-in"), count(inside, "end-session")) == (2, 0)


# Somebody else's


@pytest.mark.parametrize("what", ["device", "session"])
def test_what_belongs_to_another_is_not_there(
    inside: Browser, new_browser: NewBrowser, what: str, post: Post
) -> None:
    orlov = enrol("p.orlov@sever-trakt.example")
    other = orlov.sign_in(new_browser())
    add_passkey(other)
    orlov.sign_in(new_browser())
    forms = {"device": DROP, "session": END}
    form = other.open("/devices").page.form_of(forms[what])
    own = {"csrf_token": fields(inside, ADD)["csrf_token"]}
    for action in (form.action, form.action.replace(form.action.split("/")[-2], "A" * 22)):
        answer = inside.ask("post", action, data=own)
        assert answer.status_code == 404
    assert (count(other.open("/devices"), "device"), count(other, "end-session")) == (2, 1)
    assert "Удалено устройство" not in [each.subject for each in post.email.arrived]
    with db.reading():
        lines = db.all(select(metadata.tables["events"]))
    refused = [row for row in lines if row.name == "access.refused"]
    assert [row.actor for row in refused] == [refused[0].chain.removeprefix("account:")] * 2
