"""Signing in, walked with scripts off: by invitation, password and second factor; and sessions."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from sqlalchemy import select

from portal import account, clock, device, journal, language
from portal.account import Role
from portal.account.tables import sessions
from portal.database import db, metadata
from tests.authenticator import Authenticator
from tests.browser import squeeze
from tests.people import (
    BACKUP_CODE,
    END_ALL,
    NO_BACKUP_CODE,
    PASSWORD,
    Person,
    act,
    codes_on,
    cookie_of,
    enrol,
    enrol_in,
    invite,
    is_in,
    next_code,
    plant,
    secret_on,
    token_of,
    tries_left,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

    NewBrowser = Callable[..., Browser]

EMAIL = "p.petrov@sever-trakt.example"
NOBODYS = "n.ikto@sever-trakt.example"
ELSEWHERE = "10.20.9.99"
CHOOSE, ADD, KEPT, ENTER = "Продолжить", "Добавить приложение", "Коды сохранены", "Войти"
WRITTEN_DOWN = "Код записан"
DAYS_AND_HOURS = r"\d\d\.\d\d\.\d{4}\sв\s\d\d:\d\d\sмск"  # with blanks that do not break, too


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(EMAIL, codes=True)


@pytest.fixture
def link(keep: Callable[..., None], post: Post) -> str:
    """The link in the invitation of somebody who did not come yet."""
    keep()
    invite(EMAIL)
    return post.link(EMAIL)


def events(name: str) -> list[Any]:
    with db.reading():
        return [
            row
            for row in db.all(select(journal.events).order_by(journal.events.c.id))
            if row.name == name
        ]


def passwords_of(email: str) -> str | None:
    with db.reading():
        found = account.find_by_email(email)
    assert found
    return found.password


# By invitation


def test_an_invitation_leads_in(browser: Browser, post: Post, link: str) -> None:
    assert post.letters(EMAIL)[-1].subject == "Приглашение в портал ИЗКТ"
    browser.open(link)
    assert browser.page.heading == "Придумайте пароль"
    assert "Петров Пётр Петрович" in browser
    browser.press(CHOOSE, password=PASSWORD, again=PASSWORD)
    assert (browser.path, browser.page.heading) == ("/devices/new", "Новое устройство")
    assert "<svg" in browser.response.text
    secret = secret_on(browser)
    browser.press(ADD, code=pyotp.TOTP(secret).at(clock.now()))
    assert (browser.path, browser.page.heading) == ("/devices/codes", "Резервные коды")
    codes = codes_on(browser)
    assert len(set(codes)) == 10
    browser.press(KEPT, code=codes[3])
    assert (browser.path, browser.page.heading) == ("/operations", "Операционная часть")
    browser.open("/devices")
    assert "10 из 10" in browser.named("codes-left")
    assert not browser.has("codes-warning")
    subjects = [each.subject for each in post.letters(EMAIL)]
    assert subjects[1:] == ["Добавлено устройство", "Новые резервные коды"]


def test_who_came_by_invitation_signs_in_by_app_and_by_code(
    browser: Browser, link: str, new_browser: NewBrowser
) -> None:
    secret, codes = enrol_in(browser, link)
    with db.reading():
        found = account.find_by_email(EMAIL)
    assert found
    petrov = Person(found, secret, codes)
    assert is_in(petrov.sign_in(new_browser()))
    assert petrov.sign_in_by_code(new_browser(), codes[0]).has("replacement")


@pytest.mark.parametrize(
    ("chosen", "again", "sentence"),
    [
        ("коротко 12", None, "Слишком короткий: нужно не меньше 12 знаков."),
        ("", None, "Слишком короткий"),
        ("password1234", None, "Такой пароль легко подобрать"),
        ("зфыыцщкв1234", None, "Такой пароль легко подобрать"),
        ("p.petrov@sever-trakt.example", None, "Такой пароль легко подобрать"),
        ("семь рыжих тракторов " * 7, None, "Слишком длинный: не больше 128 знаков."),
        (PASSWORD, PASSWORD.upper(), "Пароли не совпадают. Введите одинаковые."),
        (PASSWORD, "", "Пароли не совпадают"),
    ],
)
def test_a_bad_password_is_refused_in_a_sentence(
    browser: Browser, link: str, chosen: str, again: str | None, sentence: str
) -> None:
    browser.open(link).press(CHOOSE, password=chosen, again=chosen if again is None else again)
    assert browser.status == 422
    assert sentence in browser.named("error")
    assert not chosen or chosen not in browser.response.text.replace(EMAIL, "")
    assert passwords_of(EMAIL) is None
    assert browser.open("/devices/new").path == "/signin"


@pytest.mark.parametrize(
    "chosen",
    [
        ("жёлтый верблюд читает газету у моря " * 4)[:128],
        "съешь ещё этих булок",
        "🐫🐫 верблюд и пирамида 🏜",
    ],
)
def test_a_good_password_of_any_letters_signs_in(
    browser: Browser, link: str, chosen: str, new_browser: NewBrowser
) -> None:
    browser.open(link).press(CHOOSE, password=chosen, again=chosen)
    assert browser.path == "/devices/new"
    other = new_browser().open("/signin").press(ENTER, email=EMAIL, password=chosen)
    assert other.page.heading == "Подтвердите вход"


def test_a_wrong_code_of_the_app_adds_nothing(browser: Browser, link: str) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    secret, before = secret_on(browser), browser.path
    for typed in ("", "12345", "1234567", pyotp.TOTP(secret).at(clock.now(), counter_offset=5)):
        browser.press(ADD, code=typed)
        assert browser.status == 422
        assert browser.named("error").startswith(
            "Неверный код. Введите тот, что приложение показывает сейчас."
        )
        assert secret_on(browser) == secret, "the picture that the app has seen stays"
    assert browser.open("/devices/codes").path == before
    code = pyotp.TOTP(secret).at(clock.now())
    assert browser.press(ADD, code=f" {code[:3]} {code[3:]} ").path == "/devices/codes"


def test_codes_are_shown_until_one_is_typed_back_and_never_again(
    browser: Browser, link: str
) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    browser.press(ADD, code=pyotp.TOTP(secret_on(browser)).at(clock.now()))
    codes = codes_on(browser)
    for typed in ("", NO_BACKUP_CODE, codes[0][:-1], codes[0] + "0", f"{codes[0]} {codes[1]}"):
        browser.press(KEPT, code=typed)
        assert browser.status == 422
        assert "Такого кода в этом списке нет" in browser.named("error")
        assert codes_on(browser) == codes
    assert not is_in(browser), "nobody is signed in before"
    browser.open("/devices/codes").press(KEPT, code=codes[9])
    assert is_in(browser)
    for path in ("/devices/codes", "/devices", "/devices/new", "/devices/codes/replacement"):
        assert not set(BACKUP_CODE.findall(browser.open(path).response.text)) & set(codes)


@pytest.mark.parametrize("spelled", ["lower", "cyrillic", "blanks", "alike"])
def test_a_code_is_typed_back_as_people_type(browser: Browser, link: str, spelled: str) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    browser.press(ADD, code=pyotp.TOTP(secret_on(browser)).at(clock.now()))
    code = codes_on(browser)[5]
    typed = {
        "lower": code.lower(),
        "cyrillic": code.translate(str.maketrans("ABEKMHPCTYX0", "АВЕКМНРСТУХО")),
        "blanks": "  " + code.replace("-", "\N{EN DASH}") + "\N{NO-BREAK SPACE}",
        "alike": code.replace("0", "o").replace("1", "l"),
    }[spelled]
    browser.press(KEPT, code=typed)
    assert browser.path == "/operations"


def test_who_was_interrupted_begins_again_with_the_same_link(
    browser: Browser, new_browser: NewBrowser, link: str
) -> None:
    browser.open(link)
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    first = secret_on(browser)
    other = new_browser()
    another = "другой пароль, не тот же"
    other.open(link).press(CHOOSE, password=another, again=another)
    assert secret_on(other) != first
    assert browser.open("/devices/new").path == "/signin", "the older attempt is over"
    browser.press(ENTER, email=EMAIL, password=PASSWORD)
    assert browser.status == 422, "the password of the older attempt, too"
    other.press(ADD, code=pyotp.TOTP(secret_on(other)).at(clock.now()))
    other.press(KEPT, code=codes_on(other)[0])
    assert is_in(other)


def test_an_invitation_is_dead_once_the_device_is_there(
    browser: Browser, new_browser: NewBrowser, link: str
) -> None:
    browser.open(link)
    late = new_browser().open(link)
    enrol_in(browser, link)
    assert new_browser().open(link).status == 410
    late.press(CHOOSE, password="совсем другой пароль", again="совсем другой пароль")
    assert (late.status, late.page.heading) == (410, "Ссылка не действует")
    assert "попросите администратора или поддержку прислать новое приглашение" in late
    assert is_in(browser)


def test_who_stopped_before_the_codes_has_a_device_and_is_warned(
    browser: Browser, new_browser: NewBrowser, link: str
) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    secret = secret_on(browser)
    browser.press(ADD, code=pyotp.TOTP(secret).at(clock.now()))
    assert browser.open("/devices/new").path == "/devices/codes", "one device is enough for now"
    assert new_browser().open(link).status == 410
    next_code()
    other = new_browser().open("/signin").press(ENTER, email=EMAIL, password=PASSWORD)
    other.press(ENTER, code=pyotp.TOTP(secret).at(clock.now()))
    assert is_in(other)
    assert "Резервных кодов у вас нет" in other.named("codes-warning")


@pytest.mark.parametrize("forged", ["x", "A" * 22, "A" * 22 + "." + "B" * 43, "%00", "ё"])
def test_a_forged_link_is_dead(browser: Browser, link: str, forged: str) -> None:
    for path in ("/invitation/", "/password/new/"):
        assert browser.open(path + forged).status == 410
        assert browser.page.heading == "Ссылка не действует"


def test_a_link_of_one_kind_does_not_open_the_other(
    browser: Browser, petrov: Person, post: Post
) -> None:
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    token = post.link(EMAIL).rpartition("/")[2]
    assert browser.open(f"/invitation/{token}").status == 410
    assert browser.open("/invitation").status == 410
    assert browser.open(f"/password/new/{token}").status == 200
    assert browser.open("/invitation").status == 410


def test_the_token_leaves_the_address_bar(browser: Browser, link: str) -> None:
    browser.open(link)
    assert browser.path == "/invitation"
    assert link.rpartition("/")[2] not in browser.response.text
    assert link.rpartition("/")[2] not in cookie_of(browser)


def test_an_invitation_ends_after_seven_days(browser: Browser, link: str, time: Time) -> None:
    browser.open(link)
    time.passes(days=7)
    assert browser.press(CHOOSE, password=PASSWORD, again=PASSWORD).status == 410
    assert browser.open(link).status == 410
    assert passwords_of(EMAIL) is None


def test_an_invitation_that_went_to_a_wrong_address_enrols_nobody(
    browser: Browser, link: str, post: Post
) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    with db.reading():
        found = account.find_by_email(EMAIL)
    assert found
    act(account.change, found, "email", "petrov@sever-trakt.example", "tests")
    browser.press(ADD, code=pyotp.TOTP(secret_on(browser)).at(clock.now()))
    assert (browser.status, browser.page.heading) == (401, "Время на этот шаг вышло")
    with db.reading():
        assert not device.has_device(found.id)
    assert not is_in(browser)
    assert "Добавлено устройство" not in [each.subject for each in post.email.arrived]


def test_enrolling_takes_ten_minutes_at_most(browser: Browser, link: str, time: Time) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    secret = secret_on(browser)
    time.passes(minutes=10)
    browser.press(ADD, code=pyotp.TOTP(secret).at(clock.now()))
    assert (browser.status, browser.page.heading) == (401, "Время на этот шаг вышло")
    assert "откройте ссылку из письма ещё раз" in browser
    assert browser.open(link).page.heading == "Придумайте пароль"


def test_who_was_late_for_the_codes_has_a_device_and_gets_others(
    browser: Browser, link: str, time: Time
) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    browser.press(ADD, code=pyotp.TOTP(secret_on(browser)).at(clock.now()))
    codes = re.findall(r"<code>([0-9A-Z-]{19})</code>", browser.response.text)
    time.passes(minutes=10)
    browser.press("Коды сохранены", code=codes[0])
    assert (browser.status, browser.page.heading) == (401, "Время на этот шаг вышло")
    assert "Войдите со своим устройством и получите новые" in browser


def test_who_has_a_password_and_no_device_asks_for_the_letter_again(
    browser: Browser, new_browser: NewBrowser, link: str, post: Post, time: Time
) -> None:
    browser.open(link).press(CHOOSE, password=PASSWORD, again=PASSWORD)
    time.passes(days=8)
    assert browser.open(link).status == 410
    browser.open("/signin").press(ENTER, email=EMAIL, password=PASSWORD)
    assert "Настройка входа не закончена" in browser
    again = "Отправить приглашение ещё раз"
    browser.press(again)
    assert browser.named("done") == "Письмо отправлено."
    browser.press(again)
    assert len(post.letters(EMAIL)) == 2, "once a minute"
    assert is_in(browser) is False
    enrol_in(browser, post.link(EMAIL))
    assert is_in(browser)


# Email and password


def page_for_anybody(browser: Browser, email: str) -> tuple[int, list[tuple[str, str]], str]:
    """An answer to an email, but for the email itself and what every answer has of its own."""
    own = {"Set-Cookie", "Content-Length", "Date", "Retry-After", "X-Request-ID"}
    headers = [(name, said) for name, said in browser.response.headers if name not in own]
    html = re.sub(r'name="csrf_token" value="[^"]+"', "", browser.response.text)
    return browser.status, headers, html.replace(email, "…")


def test_nobody_learns_which_accounts_there_are(
    keep: Callable[..., None], new_browser: NewBrowser
) -> None:
    keep()
    enrol(EMAIL)
    invite("bez.parolya@sever-trakt.example")
    seen = []
    for email in (EMAIL, EMAIL.upper(), NOBODYS, "bez.parolya@sever-trakt.example"):
        browser = new_browser().open("/signin").press(ENTER, email=email, password="не тот пароль")
        assert browser.status == 422
        assert browser.named("error") == "Не удалось войти. Проверьте email и пароль."
        assert browser.named("email") == email
        seen.append(page_for_anybody(browser, email))
    assert seen[1:] == seen[:1] * 3


@pytest.mark.parametrize("email", [EMAIL, NOBODYS])
def test_ten_wrong_passwords_pause_known_and_unknown_alike(
    petrov: Person, browser: Browser, new_browser: NewBrowser, time: Time, email: str
) -> None:
    browser.open("/signin")
    for _try in range(9):
        assert browser.press(ENTER, email=email, password="не тот пароль").status == 422
    time.begins_a_minute()
    until = language.moment(clock.now() + timedelta(minutes=15))
    browser.press(ENTER, email=email, password="не тот пароль")
    assert browser.status == 429
    assert browser.named("error").startswith("Слишком много неверных попыток.")
    assert until in browser.named("error")
    assert 890 <= int(browser.response.headers["Retry-After"]) <= 900
    paused = page_for_anybody(browser, email)
    browser.press(ENTER, email=email, password="и этот не тот")
    assert page_for_anybody(browser, email) == paused
    other = new_browser().open("/signin").press(ENTER, email=email, password=PASSWORD)
    assert page_for_anybody(other, email) == paused, "the right password is not taken either"
    time.passes(minutes=14, seconds=50)
    assert browser.press(ENTER, email=email, password=PASSWORD).status == 429
    time.passes(seconds=11)
    browser.press(ENTER, email=email, password=PASSWORD)
    assert browser.status == (200 if email == EMAIL else 422)


def test_both_pauses_look_the_same(petrov: Person, browser: Browser) -> None:
    seen = []
    for email in (EMAIL, NOBODYS):
        browser.open("/signin")
        for _try in range(10):
            browser.press(ENTER, email=email, password="не тот пароль")
        status, headers, html = page_for_anybody(browser, email)
        seen.append((status, headers, re.sub(DAYS_AND_HOURS, "", html)))
    assert seen[0] == seen[1]


def test_an_email_is_typed_as_people_type(petrov: Person, browser: Browser) -> None:
    browser.open("/signin").press(ENTER, email=f" {EMAIL.upper()} ", password=PASSWORD)
    assert browser.page.heading == "Подтвердите вход"


def test_no_answer_repeats_a_password(petrov: Person, browser: Browser) -> None:
    browser.open("/signin")
    for typed in ("не тот пароль", PASSWORD):
        browser.press(ENTER, email=EMAIL, password=typed)
        assert typed not in browser.response.text


# The second factor


def test_the_ways_come_in_their_order(petrov: Person, browser: Browser) -> None:
    with_passkey(petrov)
    petrov.enter_password(browser)
    names = ("passkey", "enter", "use-backup-code", "lost")
    places = [browser.response.text.index(f'data-testid="{name}"') for name in names]
    assert places == sorted(places)


def with_passkey(owner: Person) -> Authenticator:
    key = Authenticator()
    with db.writing():
        asked = device.registration_options(owner.account)
        answer = key.register(asked.json)
        assert device.add_passkey(owner.account, answer, asked.challenge, "Ноутбук", "10.20.4.17")
        db.commit()
    return key


def passkey_answer(browser: Browser, key: Authenticator, where: str) -> str:
    """What the page's script gets for its button."""
    fields = browser.page.form_of("Войти с ключом доступа").fields
    asked = browser.ask("post", where, data={"csrf_token": fields["csrf_token"]})
    assert asked.mimetype == "application/json"
    return key.sign(asked.text)


def test_a_passkey_signs_in_and_its_answer_counts_once(
    petrov: Person, browser: Browser, new_browser: NewBrowser
) -> None:
    key = with_passkey(petrov)
    key.counts = False
    petrov.enter_password(browser)
    answer = passkey_answer(browser, key, "/signin/passkey/options")
    other = petrov.enter_password(new_browser())
    other.press("Войти с ключом доступа", answer=answer)
    assert "Ключ доступа не подошёл." in other
    assert tries_left(other) == 4
    passkey_answer(other, key, "/signin/passkey/options")
    assert other.press("Войти с ключом доступа", answer=answer).status == 422, "another challenge"
    browser.press("Войти с ключом доступа", answer=answer)
    assert is_in(browser)
    assert not is_in(other)


def test_no_passkey_is_asked_for_where_it_would_not_work(petrov: Person, browser: Browser) -> None:
    with_passkey(petrov)
    petrov.enter_password(browser)
    browser.headers = {"Host": "10.20.0.5:8000"}
    page = browser.ask("get", "/signin/factor")
    assert 'data-testid="passkey"' not in page.text


def test_five_wrong_codes_lead_back_to_the_password(petrov: Person, browser: Browser) -> None:
    petrov.enter_password(browser)
    half = cookie_of(browser)
    for left in (4, 3, 2, 1):
        browser.press(ENTER, code=petrov.wrong)
        assert (browser.status, tries_left(browser)) == (422, left)
    browser.press(ENTER, code=petrov.wrong)
    assert (browser.status, browser.page.heading) == (422, "Вход")
    assert browser.named("error") == "Попытки закончились. Введите пароль ещё раз."
    assert browser.named("email") == EMAIL
    next_code()
    plant(browser, half).open("/signin/factor")
    assert browser.path == "/signin", "the attempt is over"
    browser.press(ENTER, email=EMAIL, password=PASSWORD).press(ENTER, code=petrov.code)
    assert is_in(browser)


def test_codes_of_all_kinds_share_the_five_tries(petrov: Person, browser: Browser) -> None:
    petrov.enter_password(browser).press(ENTER, code=petrov.wrong)
    browser.press(ENTER, code="не код")
    browser.follow("Войти по резервному коду").press(ENTER, code=NO_BACKUP_CODE)
    assert tries_left(browser) == 2
    browser.press(ENTER, code=petrov.code)
    assert tries_left(browser) == 1
    assert browser.press(ENTER, code=NO_BACKUP_CODE).page.heading == "Вход"


def test_an_empty_field_is_no_try(petrov: Person, browser: Browser) -> None:
    petrov.enter_password(browser)
    for _try in range(6):
        browser.press(ENTER, code="  ")
        assert (browser.status, tries_left(browser)) == (422, None)
    browser.follow("Войти по резервному коду").press(ENTER, code="")
    assert (browser.status, tries_left(browser)) == (422, None)
    assert events("factor.wrong") == []


def test_of_twenty_wrong_codes_at_once_five_are_judged(
    petrov: Person, browser: Browser, new_browser: NewBrowser
) -> None:
    half = cookie_of(petrov.enter_password(browser))
    tabs = [plant(new_browser(), half).open("/signin/factor") for _tab in range(20)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda tab: tab.press(ENTER, code=petrov.wrong).path, tabs))
    assert len(events("factor.wrong")) == 5
    assert len(answers) == 20
    assert petrov.sign_in(new_browser()).path == "/operations", "there is no pause yet"


def test_ten_wrong_codes_in_a_row_pause_every_second_factor(
    petrov: Person, browser: Browser, new_browser: NewBrowser, time: Time
) -> None:
    time.begins_a_minute()
    for _sign_in in range(2):
        petrov.enter_password(browser)
        for _try in range(5):
            browser.press(ENTER, code=petrov.wrong)
    until = language.moment(clock.now() + timedelta(minutes=15))
    assert browser.status == 429
    assert browser.named("error").startswith("Слишком много неверных попыток.")
    assert until in browser.named("error")
    assert 890 <= int(browser.response.headers["Retry-After"]) <= 900
    other = petrov.enter_password(new_browser())
    for _try in range(6):
        next_code()
        other.press(ENTER, code=petrov.code)
        assert (other.status, other.page.heading) == (429, "Подтвердите вход")
        assert until in other.named("error")
    other.follow("Войти по резервному коду").press(ENTER, code=petrov.codes[0])
    assert other.status == 429
    assert not is_in(other)
    assert len(events("factors.paused")) == 1
    time.passes(minutes=15)
    assert petrov.sign_in(new_browser()).path == "/operations"


def test_a_right_code_begins_the_count_anew(petrov: Person, new_browser: NewBrowser) -> None:
    for _round in range(3):
        browser = petrov.enter_password(new_browser())
        for _try in range(4):
            browser.press(ENTER, code=petrov.wrong)
        next_code()
        assert browser.press(ENTER, code=petrov.code).path == "/operations"


def test_a_step_up_that_fails_ten_times_pauses_as_well(
    petrov: Person, browser: Browser, new_browser: NewBrowser, time: Time
) -> None:
    petrov.sign_in(browser)
    time.passes(minutes=6)
    browser.open("/devices").press("Изменить")
    for left in range(9, 0, -1):
        assert tries_left(browser.press("Подтвердить", code=petrov.wrong)) == left
    browser.press("Подтвердить", code=petrov.wrong)
    assert browser.status == 429
    assert browser.press("Подтвердить", code=petrov.code).status == 429
    assert petrov.sign_in(new_browser()).status == 429
    time.passes(minutes=15)
    browser.open("/devices").press("Изменить")
    assert petrov.step_up(browser).path == "/devices"


def test_a_password_waits_ten_minutes_for_its_second_factor(
    petrov: Person, browser: Browser, time: Time
) -> None:
    petrov.enter_password(browser)
    time.passes(minutes=10)
    assert browser.press(ENTER, code=petrov.code).path == "/signin"
    assert not is_in(browser)


def test_an_apps_code_counts_once(
    petrov: Person, browser: Browser, new_browser: NewBrowser
) -> None:
    petrov.sign_in(browser)
    code = petrov.code
    other = petrov.enter_password(new_browser()).press(ENTER, code=code)
    assert other.status == 422
    assert not is_in(other)
    assert petrov.sign_in(other).path == "/devices"


def in_parallel(browsers: list[Browser], code: str) -> list[Browser]:
    """All of them press at once; returns those that are in."""
    with ThreadPoolExecutor(8) as pool:
        pressed = list(pool.map(lambda each: each.press(ENTER, code=code), browsers))
    return [each for each in pressed if is_in(each)]


def test_an_apps_code_typed_in_two_browsers_at_once_opens_one(
    petrov: Person, new_browser: NewBrowser
) -> None:
    next_code()
    both = [petrov.enter_password(new_browser()) for _browser in range(2)]
    assert len(in_parallel(both, petrov.code)) == 1


# Backup codes


def test_a_backup_code_signs_in_and_is_replaced_in_place(
    petrov: Person, browser: Browser, new_browser: NewBrowser, post: Post
) -> None:
    petrov.sign_in_by_code(browser, petrov.codes[2])
    assert (browser.path, browser.page.heading) == (
        "/devices/codes/replacement",
        "Новый код вместо использованного",
    )
    new = browser.named("replacement")
    assert BACKUP_CODE.fullmatch(new)
    assert new not in petrov.codes
    letter = post.letters(EMAIL)[-1]
    assert letter.subject == "Использован резервный код"
    assert new not in letter.text + letter.html
    assert "9 из 10" in browser.open("/devices").named("codes-left")
    browser.open("/devices/codes/replacement").press(WRITTEN_DOWN)
    assert browser.path == "/operations"
    browser.open("/devices")
    assert "10 из 10" in browser.named("codes-left")
    assert browser.open("/devices/codes/replacement").path == "/devices", "it is shown no more"
    other = petrov.sign_in_by_code(new_browser(), petrov.codes[2])
    assert tries_left(other) == 4
    assert other.press(ENTER, code=new).has("replacement")


def test_who_signed_in_by_code_is_offered_a_new_device(petrov: Person, browser: Browser) -> None:
    petrov.sign_in_by_code(browser, petrov.codes[0])
    assert "добавьте новое на странице «Мои устройства»" in browser
    browser.press(WRITTEN_DOWN).open("/devices").press("Добавить устройство")
    assert browser.path == "/devices/new", "a backup code is a second factor of a moment ago"


def test_at_three_codes_left_the_owner_is_warned(
    petrov: Person, browser: Browser, new_browser: NewBrowser, post: Post
) -> None:
    signed_in = new_browser()
    for spent, code in enumerate(petrov.codes[:7], 1):
        signed_in = petrov.sign_in_by_code(new_browser(), code).open("/devices")
        assert f"{10 - spent} из 10" in signed_in.named("codes-left")
        assert signed_in.has("codes-warning") is (spent == 7)
    assert signed_in.named("codes-warning") == "Осталось кодов: 3. Получите новые."
    letters = post.letters(EMAIL)
    assert ["Кодов осталось мало" in each.text for each in letters] == [False] * 6 + [True]


def test_of_twenty_that_type_a_backup_code_at_once_one_is_in(
    petrov: Person, new_browser: NewBrowser
) -> None:
    all_at = [petrov.enter_password(new_browser()) for _browser in range(20)]
    for each in all_at:
        each.follow("Войти по резервному коду")
    inside = in_parallel(all_at, petrov.codes[0])
    assert len(inside) == 1
    assert "9 из 10" in inside[0].named("codes-left")
    assert len(events("code.used")) == 1


@pytest.mark.parametrize("spelled", [str.lower, lambda code: code.replace("-", " ")])
def test_a_backup_code_is_typed_as_people_type(
    petrov: Person, browser: Browser, spelled: Callable[[str], str]
) -> None:
    assert petrov.sign_in_by_code(browser, spelled(petrov.codes[0])).has("replacement")


def test_a_code_of_the_app_is_no_backup_code(petrov: Person, browser: Browser) -> None:
    next_code()
    petrov.sign_in_by_code(browser, petrov.code)
    assert browser.status == 422
    petrov.enter_password(browser).press(ENTER, code=petrov.codes[0])
    assert browser.status == 422


# Sessions


def test_a_session_ends_after_30_minutes_without_use(
    petrov: Person, browser: Browser, time: Time
) -> None:
    petrov.sign_in(browser)
    for _look in range(3):
        time.passes(minutes=29)
        assert is_in(browser)
    time.passes(minutes=30)
    assert not is_in(browser)


def test_a_session_ends_after_12_hours_whatever_is_done(
    petrov: Person, browser: Browser, time: Time
) -> None:
    petrov.sign_in(browser)
    for _look in range(24):
        time.passes(minutes=29)
        assert is_in(browser)
    browser.press("Изменить")
    petrov.step_up(browser)
    time.passes(minutes=23)
    assert is_in(browser)
    time.passes(minutes=1)
    assert not is_in(browser), "a second factor given anew makes no session longer"


def test_polling_keeps_no_session_alive(
    keep: Callable[..., None], browser: Browser, time: Time
) -> None:
    keep()
    specialist = enrol("s@izkt.example", Role.SPECIALIST)
    specialist.sign_in(browser)
    assert browser.path == "/verifications"
    for _poll in range(5):
        time.passes(minutes=5)
        polled = browser.ask("get", "/support/cases?seen=list", headers={"HX-Request": "true"})
        assert polled.status_code == 200
    time.passes(minutes=5)
    polled = browser.ask("get", "/support/cases?seen=list", headers={"HX-Request": "true"})
    assert (polled.status_code, polled.headers["HX-Redirect"]) == (204, "/signin?ended=")
    assert "Сеанс завершён" in browser.open(polled.headers["HX-Redirect"]).named("ended")
    assert not browser.open("/signin").has("ended")


def test_the_second_factor_makes_a_new_id(
    petrov: Person, browser: Browser, new_browser: NewBrowser, time: Time
) -> None:
    browser.open("/signin")
    nobodys = cookie_of(browser)
    petrov.enter_password(browser)
    half = cookie_of(browser)
    next_code()
    browser.press(ENTER, code=petrov.code)
    first = cookie_of(browser)
    time.passes(minutes=6)
    browser.open("/devices").press("Изменить")
    petrov.step_up(browser)
    assert is_in(browser)
    second = cookie_of(browser)
    tokens = [token_of(each) for each in (half, first, second)]
    assert len(set(tokens)) == 3
    for old in (nobodys, half, first):
        assert not is_in(plant(new_browser(), old))
    assert is_in(plant(new_browser(), second))


def test_a_form_from_before_signing_in_is_worth_nothing_after(
    petrov: Person, browser: Browser
) -> None:
    browser.open("/signin")
    before = browser.page.form_of(ENTER).fields["csrf_token"]
    petrov.sign_in(browser)
    answer = browser.ask("post", "/devices/sessions/end", data={"csrf_token": before})
    assert answer.status_code == 422


def test_signing_out_ends_the_session(
    petrov: Person, browser: Browser, new_browser: NewBrowser
) -> None:
    petrov.sign_in(browser)
    stolen = cookie_of(browser)
    browser.press("Выйти")
    assert browser.path == "/signin"
    assert not is_in(browser)
    assert not is_in(plant(new_browser(), stolen))


def test_the_cookie_of_a_signed_in_person_is_out_of_scripts_reach(
    petrov: Person, browser: Browser
) -> None:
    petrov.enter_password(browser)
    said = browser.ask("get", "/signin", follow_redirects=False).headers.getlist("Set-Cookie")
    next_code()
    fields = browser.page.form_of(ENTER).fields | {"code": petrov.code}
    answer = browser.ask("post", "/signin/factor", data=fields, follow_redirects=False)
    said += answer.headers.getlist("Set-Cookie")
    assert len(said) == 1
    for flag in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in said[0]
    assert "Expires" not in said[0], "it is gone with the browser"


def end_everywhere(petrov: Person, other: Browser, post: Post) -> None:
    other.open("/devices").press(END_ALL)


def end_one(petrov: Person, other: Browser, post: Post) -> None:
    other.open("/devices").press("Завершить")


def choose_new_password(petrov: Person, other: Browser, post: Post) -> None:
    other.open("/password").press("Отправить письмо", email=EMAIL)
    chosen = "новый и ещё лучше прежнего"
    other.open(post.link(EMAIL)).press("Сохранить пароль", password=chosen, again=chosen)


def change_role(petrov: Person, other: Browser, post: Post) -> None:
    act(account.change_role, petrov.account, Role.CONTROLLER, "tests")


@pytest.mark.parametrize(
    ("what", "letter"),
    [
        (end_everywhere, "Сеансы завершены"),
        (end_one, "Сеансы завершены"),
        (choose_new_password, "Пароль изменён"),
        (change_role, "Изменена роль"),
    ],
)
def test_a_stolen_session_is_dead_once(
    petrov: Person,
    browser: Browser,
    new_browser: NewBrowser,
    post: Post,
    what: Callable[[Person, Browser, Post], None],
    letter: str,
) -> None:
    petrov.sign_in(browser)
    thief = plant(new_browser(ELSEWHERE), cookie_of(browser))
    assert is_in(thief)
    other = petrov.sign_in(new_browser())
    what(petrov, other, post)
    assert not is_in(thief)
    assert not is_in(browser)
    assert is_in(other) is (letter == "Сеансы завершены")
    assert post.letters(EMAIL)[-1].subject == letter


def test_half_a_session_does_not_outlive_a_new_password(
    petrov: Person, browser: Browser, new_browser: NewBrowser, post: Post
) -> None:
    petrov.enter_password(browser)
    choose_new_password(petrov, new_browser(), post)
    next_code()
    browser.press(ENTER, code=petrov.code)
    assert browser.path == "/signin"
    assert not is_in(browser)


def test_somebody_elses_sign_in_leaves_nothing_of_mine_in_a_browser(
    petrov: Person, browser: Browser
) -> None:
    orlov = enrol("p.orlov@sever-trakt.example", name="Орлов Павел Ильич")
    petrov.sign_in(browser).press("Выйти")
    orlov.sign_in(browser).open("/devices")
    assert "Орлов Павел Ильич" in browser
    assert "Петров" not in browser
    with db.reading():
        live = [row for row in db.all(select(sessions)) if row.ended_at is None]
    assert {row.account_id for row in live} == {orlov.account.id}


# What somebody came for


@pytest.mark.parametrize("path", ["/devices", "/check", "/devices/codes/replacement"])
def test_after_signing_in_one_is_where_one_wanted_to_be(
    petrov: Person, browser: Browser, path: str
) -> None:
    assert browser.open(path).path == "/signin"
    browser.press(ENTER, email=EMAIL, password=PASSWORD)
    next_code()
    browser.press(ENTER, code=petrov.code)
    assert browser.path == path.replace("/codes/replacement", "")


def test_an_administrator_gets_to_the_person_they_came_for(
    petrov: Person, browser: Browser
) -> None:
    administrator = enrol("a@sever-trakt.example", Role.ADMINISTRATOR)
    wanted = f"/people/{petrov.account.id}/reset"
    assert browser.open(wanted).path == "/signin"
    browser.press(ENTER, email=administrator.account.email, password=PASSWORD)
    next_code()
    assert browser.press(ENTER, code=administrator.code).path == wanted
    browser.press("Выйти")
    assert administrator.sign_in(browser).path == "/organisations", "it was wanted once"


def test_the_first_page_is_nobodys_way_back(petrov: Person, browser: Browser, time: Time) -> None:
    administrator = enrol("a@sever-trakt.example", Role.ADMINISTRATOR)
    administrator.sign_in(browser)
    wanted = f"/people/{petrov.account.id}/reset"
    time.passes(minutes=6)
    assert browser.open(wanted).path == "/check"
    assert browser.open("/").path == "/organisations"
    next_code()
    assert browser.open("/check").press("Подтвердить", code=administrator.code).path == wanted


def test_a_page_that_a_session_ran_out_on_is_not_the_next_persons(
    keep: Callable[..., None], browser: Browser, time: Time
) -> None:
    for number in (1, 2):
        keep(f"ORG-{number}")
    one = enrol("a@sever-trakt.example", Role.ADMINISTRATOR, "ORG-1")
    other = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, "ORG-2")
    one.sign_in(browser)
    time.passes(minutes=31)
    assert browser.open("/organisations/ORG-1").path == "/signin"
    assert other.sign_in(browser).path == "/organisations"
    time.passes(minutes=31)
    assert browser.open("/organisations/ORG-2").path == "/signin"
    assert other.sign_in(browser).path == "/organisations/ORG-2", "it is their own"
    assert not events("access.refused")


def test_an_id_in_cyrillic_is_come_for_too(keep: Callable[..., None], browser: Browser) -> None:
    keep("ОРГ-1")
    administrator = enrol("a@sever-trakt.example", Role.ADMINISTRATOR, "ОРГ-1")
    assert browser.open("/organisations/ОРГ-1").path == "/signin"
    assert administrator.sign_in(browser).path == "/organisations/ОРГ-1"


@pytest.mark.parametrize("wanted", ["/people", "/organisations/ORG-1"])
def test_nobody_is_led_to_a_page_that_somebody_else_came_for(browser: Browser, wanted: str) -> None:
    specialist = enrol("s@izkt.example", Role.SPECIALIST)
    assert browser.open(wanted).path == "/signin"
    assert specialist.sign_in(browser).path == "/verifications"
    assert browser.status == 200


def test_by_backup_code_too(petrov: Person, browser: Browser) -> None:
    enrol("a@sever-trakt.example", Role.ADMINISTRATOR)
    assert browser.open("/check").path == "/signin"
    browser.press(ENTER, email=EMAIL, password=PASSWORD).follow("Войти по резервному коду")
    assert browser.press(ENTER, code=petrov.codes[0]).path == "/devices/codes/replacement"
    assert browser.press(WRITTEN_DOWN).path == "/check"


@pytest.mark.parametrize(
    ("role", "start"),
    [
        (Role.ADMINISTRATOR, "/organisations"),
        (Role.SPECIALIST, "/verifications"),
        (Role.OPERATOR, "/operations"),
        (Role.SENIOR_OPERATOR, "/operations"),
        (Role.CONTROLLER, "/operations"),
        (Role.MANAGER, "/operations"),
    ],
)
def test_everybody_has_a_start(
    keep: Callable[..., None], browser: Browser, role: Role, start: str
) -> None:
    keep()
    enrol(EMAIL, role).sign_in(browser)
    assert (browser.status, browser.path) == (200, start)
    assert browser.open("/signin").path == start


@pytest.mark.parametrize(
    "evil",
    [
        "//evil.example",
        "//evil.example/devices",
        "/\\evil.example",
        "/devices/\\evil.example",
        "/devices//evil.example",
        "https://evil.example/devices",
        "/signin?next=https://evil.example/",
        "/devices?next=//evil.example&came_for=//evil.example",
        "/people/%5C%5Cevil.example/reset",
        "/people/%0d%0aLocation:%20evil.example/reset",
        f"/people/{'evil' * 1500}/reset",  # more than a cookie holds
    ],
)
def test_signing_in_leads_out_of_the_house_nowhere(
    petrov: Person, browser: Browser, evil: str
) -> None:
    headers = {"Referer": "https://evil.example/", "Host": "localhost"}
    browser.ask("get", evil, headers=headers)
    browser.open("/signin").press(ENTER, email=EMAIL, password=PASSWORD)
    next_code()
    fields = browser.page.form_of(ENTER).fields | {
        "code": petrov.code,
        "next": "//evil.example",
        "came_for": "//evil.example",
    }
    answer = browser.ask(
        "post", "/signin/factor?next=//evil.example", data=fields, follow_redirects=False
    )
    assert answer.status_code == 303
    assert re.match(r"/(devices|people|operations)", answer.headers["Location"])
    assert "\\" not in answer.headers["Location"]


def test_a_password_is_for_the_account_whose_page_it_was_typed_on(
    keep: Callable[..., None], browser: Browser, post: Post
) -> None:
    keep()
    invite(EMAIL)
    invite(NOBODYS)
    browser.open(post.link(EMAIL))
    first = browser.page
    browser.open(post.link(NOBODYS))
    browser.page = first  # of the tab beside it
    browser.press(CHOOSE, password=PASSWORD, again=PASSWORD)
    assert browser.status == 409
    assert f"здесь пароль для {NOBODYS}" in browser.named("error")
    assert passwords_of(EMAIL) is passwords_of(NOBODYS) is None
    assert browser.press(CHOOSE, password=PASSWORD, again=PASSWORD).path == "/devices/new"
    assert passwords_of(NOBODYS)
    assert passwords_of(EMAIL) is None


# A forgotten password


def test_a_new_password_is_chosen_by_letter_and_the_second_factor_stays(
    petrov: Person, browser: Browser, post: Post
) -> None:
    browser.open("/signin").follow("Забыли пароль?").press("Отправить письмо", email=EMAIL)
    assert browser.page.heading == "Проверьте почту"
    link = post.link(EMAIL)
    assert "срабатывает один раз" in post.letters(EMAIL)[-1].text
    chosen = "новый и ещё лучше прежнего"
    assert browser.open(link).page.heading == "Новый пароль"
    browser.press("Сохранить пароль", password=chosen, again=chosen)
    assert (browser.path, browser.named("done")) == (
        "/signin",
        "Пароль изменён. Войдите с новым паролем.",
    )
    assert not is_in(browser), "the letter alone opens nothing"
    browser.open("/signin").press(ENTER, email=EMAIL, password=PASSWORD)
    assert browser.status == 422
    browser.press(ENTER, email=EMAIL, password=chosen)
    assert browser.page.heading == "Подтвердите вход"
    assert not is_in(browser)
    petrov.password = chosen
    assert petrov.sign_in(browser).path == "/devices"
    assert browser.open(link).status == 410
    assert post.letters(EMAIL)[-1].subject == "Пароль изменён"


def test_the_answer_is_the_same_for_an_email_that_nobody_has(
    petrov: Person, new_browser: NewBrowser, post: Post
) -> None:
    invite("bez.parolya@sever-trakt.example")
    seen = []
    for email in (EMAIL, NOBODYS, "bez.parolya@sever-trakt.example"):
        browser = new_browser().open("/password").press("Отправить письмо", email=email)
        seen.append(page_for_anybody(browser, email))
        browser.open("/password").press("Отправить письмо", email=email)
        seen.append(page_for_anybody(browser, email))
    assert seen[1:] == seen[:1] * 5
    assert [each.subject for each in post.email.arrived if "пароль" in each.subject] == []
    post.deliver()
    arrived = [(each.recipient, each.subject) for each in post.email.arrived]
    assert arrived.count((EMAIL, "Новый пароль")) == 1, "the second was asked for too soon"
    assert NOBODYS not in dict(arrived)
    assert ("bez.parolya@sever-trakt.example", "Новый пароль") not in arrived


@pytest.mark.parametrize("typed", ["", "petrov", "   "])
def test_what_is_no_email_is_said_to_be_none(browser: Browser, typed: str) -> None:
    browser.open("/password").press("Отправить письмо", email=typed)
    assert browser.status == 422
    assert "Введите адрес полностью" in browser.named("error")


def test_the_link_to_a_new_password_works_for_an_hour(
    petrov: Person, browser: Browser, post: Post, time: Time
) -> None:
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    link = post.link(EMAIL)
    time.passes(minutes=59)
    assert browser.open(link).status == 200
    time.passes(minutes=1)
    chosen = "новый и ещё лучше прежнего"
    assert browser.press("Сохранить пароль", password=chosen, again=chosen).status == 410
    assert browser.open(link).status == 410
    assert "Запросите новое письмо на странице входа" in browser


def test_a_bad_new_password_leaves_the_link_and_the_old_one(
    petrov: Person, browser: Browser, post: Post
) -> None:
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    browser.open(post.link(EMAIL)).press("Сохранить пароль", password="коротко", again="коротко")
    assert browser.status == 422
    assert "Слишком короткий" in browser.named("error")
    assert petrov.sign_in(browser).path == "/operations"


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_a_link_changes_nothing(
    petrov: Person, browser: Browser, post: Post, method: str
) -> None:
    invite("n@sever-trakt.example")
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    links = [post.link(EMAIL), post.link("n@sever-trakt.example")]
    before = everything()
    for path in (*links, "/invitation", "/password/new"):
        for _look in range(2):
            assert browser.ask(method, path).status_code == 200
    assert everything() == before


def everything() -> dict[str, list[Any]]:
    with db.reading():
        return {table.name: db.all(select(table)) for table in metadata.sorted_tables}


def test_a_form_of_a_session_that_ended_leads_back_to_its_page(
    new_browser: Callable[..., Browser], keep: Callable[..., None]
) -> None:
    keep()
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR)
    browser = boss.sign_in(new_browser()).open("/organisations/ORG-004217")
    form = browser.page.form_of("Запросить подтверждение").fields
    other = browser.ask("post", "/signout", data=form)
    assert other.status_code == 200
    answer = browser.ask("post", "/organisations/ORG-004217/request", data=form)
    assert answer.status_code == 401
    assert "мы вернём вас на ту же страницу" in squeeze(answer.text)
    boss.sign_in(browser)
    assert browser.path == "/organisations/ORG-004217"


def test_a_form_that_has_the_address_of_its_page_leads_back_to_it(
    new_browser: Callable[..., Browser], keep: Callable[..., None], time: Time
) -> None:
    keep("ORG-000001", inn="7707083893", ogrn="1027700132195", short_name="ООО «Первая»")
    keep()
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR, "ORG-000001")
    act(account.join, boss.account, "ORG-004217", "tests")
    clerk = enrol("clerk@sever-trakt.example")
    for page, button in (
        (f"/people/{clerk.account.id}/role", "Изменить роль"),
        ("/people/new?organisation=ORG-004217", "Отправить приглашение"),
        ("/devices/password", "Сменить пароль"),
    ):
        browser = boss.sign_in(new_browser()).open(page)
        heading, said = browser.page.heading, "«Северный тракт»" in browser
        time.passes(minutes=31)
        browser.press(button)
        assert browser.status == 401
        boss.sign_in(browser)
        assert browser.path == page.partition("?")[0]
        assert browser.page.heading == heading
        assert ("«Северный тракт»" in browser) is said, "of the same organisation"


def test_two_in_one_browser(
    new_browser: Callable[..., Browser], keep: Callable[..., None], post: Post
) -> None:
    """Whoever opens a link in a browser where somebody is signed in takes it over."""
    keep()
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR)
    enrol(EMAIL)
    invite("n@sever-trakt.example")
    chosen = dict.fromkeys(("password", "again"), "кривой якорь бежит задумчиво")
    for email, button in (
        (EMAIL, "Сохранить пароль"),
        ("n@sever-trakt.example", "Продолжить"),
    ):
        browser = boss.sign_in(new_browser())
        signed_in = cookie_of(browser)
        if email == EMAIL:
            browser.open("/password").press("Отправить письмо", email=email)
        browser.open(post.link(email)).press(button, **chosen)
        plant(browser, signed_in).open("/organisations")
        assert browser.path == "/signin", "the session that was here has ended"


def test_where_a_form_was_sent_leads_to_its_page(
    new_browser: Callable[..., Browser], keep: Callable[..., None]
) -> None:
    """Reloading an answer from the address bar asks for what only takes forms."""
    keep()
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR)
    browser = boss.sign_in(new_browser())
    for step in ("request", "submit", "cancel"):
        assert browser.open(f"/organisations/ORG-004217/{step}").path == "/organisations/ORG-004217"
