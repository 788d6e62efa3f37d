"""The way of the responsible person, walked with scripts off (product.md, step by step)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from portal import clock, confirmation, organisation, outbox
from portal.database import db, metadata
from portal.gateways import Reason, Trouble
from portal.language import moment
from tests.browser import squeeze
from tests.conftest import ADMINISTRATOR, LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from portal.gateways import Outgoing
    from tests.browser import Browser
    from tests.conftest import Post, Time

PHONE = "Подтвердить номер телефона"
EMAIL = "Подтвердить email"
ENTER = "Подтвердить"
AGAIN = "Отправить ещё раз"
WRONG = {"code": "000000"}


def wrong(post: Post) -> str:
    return "111111" if post.code() == "000000" else "000000"


# The whole way


def test_both_contacts_are_confirmed(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link())
    assert browser.page.heading == LOMOVA.short_name
    browser.press(PHONE).press(ENTER, code=post.code())
    assert "подтверждён" in browser.named("phone-status")
    assert "подтвердите email. Не закрывайте" in browser
    assert browser.named("email-status") == "не подтверждён"
    browser.press(EMAIL)
    assert "Письмо отправл" in browser.named("email-sent")
    browser.open(post.link()).press("Подтвердить адрес")
    assert "администратору отправлено письмо" in browser
    browser.follow("К данным организации")
    assert "Готово, вы всё подтвердили" in browser
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == ["Проверка завершена"]


def test_the_email_may_come_first(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(EMAIL)
    browser.open(post.link()).press("Подтвердить адрес")
    assert "Осталось подтвердить номер телефона" in browser
    assert not post.letters(ADMINISTRATOR)
    browser.follow("К данным организации").press(PHONE).press(ENTER, code=post.code())
    assert browser.has("completed")
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_the_page_shows_all_that_is_confirmed(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link())
    for words in (
        "Сведения об организации",
        "Данные ответственного лица",
        LOMOVA.name,
        LOMOVA.inn,
        LOMOVA.kpp,
        LOMOVA.ogrn,
        LOMOVA.legal_address,
        LOMOVA.last_name,
        LOMOVA.first_name,
        LOMOVA.patronymic,
        LOMOVA.position,
        "+7 921 555-01-47",
        LOMOVA.email,
        ADMINISTRATOR,
        "Не закрывайте это окно",
        "ORG-004217",
        "8-800-333-30-92",
        "рабочие дни, 8:00–18:00 мск",
        "Сообщить об ошибке",
    ):
        assert words in browser, words
    assert re.search(r"\d\d\.\d\d\.\d{4} в \d\d:\d\d мск", browser.named("link-until"))


def test_the_letter_says_until_when_and_how(post: Post, asked: str) -> None:
    letter = post.letters(LOMOVA.email)[0]
    assert letter.subject == "Подтверждение данных"
    assert "С-Терра Клиент" in letter.text
    assert "подтвердить номер телефона и email, записанные в ИЗКТ" in letter.text
    assert "телефон кодом из СМС, а email — ссылкой из второго письма." in letter.text
    assert re.search(
        r"Ссылка из этого письма действует до \d\d\.\d\d\.\d{4} в \d\d:\d\d мск", letter.text
    )


# The link


def test_the_token_leaves_the_address_bar(browser: Browser, post: Post, asked: str) -> None:
    link = post.link()
    browser.open(link)
    assert browser.path == f"/confirmation/{asked}"
    assert link.rpartition(".")[2] not in browser.response.text


def test_closing_the_window_loses_nothing(
    browser: Browser, new_browser: Callable[..., Browser], post: Post, asked: str
) -> None:
    link = post.link()
    browser.open(link).press(PHONE).press(ENTER, code=post.code())
    again = new_browser().open(link)
    assert "подтверждён" in again.named("phone-status")
    assert again.named("email-status") == "не подтверждён"


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_changes_nothing(
    app: object, browser: Browser, post: Post, asked: str, method: str
) -> None:
    link = post.link()
    before = everything()
    for _ in range(3):
        for path in (link, f"/confirmation/{asked}", f"/confirmation/{asked}/code"):
            browser.ask(method, path)
    assert everything() == before


def test_a_link_ends_after_seven_days(browser: Browser, post: Post, asked: str, time: Time) -> None:
    link = post.link()
    browser.open(link)
    time.passes(days=7)
    assert browser.press(PHONE).status == 409
    assert "Срок ссылки истёк" in browser
    assert browser.open(link).status == 410
    assert not post.codes()


def test_a_newer_request_retires_the_older_one(
    browser: Browser, post: Post, asked: str, ask: Callable[..., str]
) -> None:
    link = post.link()
    browser.open(link).press(PHONE).press(ENTER, code=post.code())
    ask()
    assert browser.open(link).status == 410
    assert "Есть более новое письмо" in browser
    browser.open(post.link())
    assert "подтверждён" in browser.named("phone-status")  # renewing keeps what is confirmed


def test_a_link_that_did_its_work_says_so(browser: Browser, post: Post, asked: str) -> None:
    link = post.link()
    browser.open(link).press(PHONE).press(ENTER, code=post.code())
    browser.press(EMAIL).open(post.link()).press("Подтвердить адрес")
    assert browser.open(link).status == 410
    assert "Данные уже подтверждены" in browser


@pytest.mark.parametrize(
    "forged", ["x", "A" * 22, "A" * 22 + "." + "B" * 43, "%00", "ё", "x" * 3000]
)
def test_a_forged_link_is_dead(browser: Browser, asked: str, forged: str) -> None:
    before = everything()
    for path, way in (
        ("/confirm/", "попросите администратора организации отправить новое письмо"),
        ("/confirm-email/", "запросите новое письмо на странице с данными организации"),
    ):
        assert browser.open(path + forged).status == 410
        assert "Ссылка не действует" in browser
        assert way in browser
    assert everything() == before


def test_links_of_one_kind_do_not_open_the_other(browser: Browser, post: Post, asked: str) -> None:
    link = post.link()
    assert browser.open(link.replace("/confirm/", "/confirm-email/")).status == 410
    browser.open(link).press(EMAIL)
    assert browser.open(post.link().replace("/confirm-email/", "/confirm/")).status == 410


def test_another_persons_page_does_not_open(
    browser: Browser, new_browser: Callable[..., Browser], post: Post, asked: str
) -> None:
    browser.open(post.link())
    stranger = new_browser()
    for path in ("", "/code", "/report"):
        assert stranger.open(f"/confirmation/{asked}{path}").status == 410
        assert "Откройте ссылку из письма" in stranger
        assert LOMOVA.last_name not in stranger


def test_two_organisations_fit_in_one_browser(
    browser: Browser, post: Post, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    keep()
    keep("ORG-2", short_name="АО «Южный путь»", email="p@yug.example")
    first, second = ask(), ask("ORG-2")
    browser.open(post.link()).open(post.link("p@yug.example"))
    assert browser.open(f"/confirmation/{first}").page.heading == LOMOVA.short_name
    assert browser.open(f"/confirmation/{second}").page.heading == "АО «Южный путь»"


# The secure channel


def test_from_outside_every_link_gives_the_same_page(
    browser: Browser, new_browser: Callable[..., Browser], post: Post, asked: str
) -> None:
    good = post.link()
    browser.open(good).press(EMAIL)
    second = post.link()
    outside = new_browser("203.0.113.9")
    pages = {
        outside.open(link).response.get_data()
        for link in (good, second, "/confirm/forged", "/confirm-email/forged", good + "x")
    }
    assert len(pages) == 1
    assert outside.status == 403
    assert outside.named("address") == "203.0.113.9"
    assert "С-Терра Клиент" in outside
    assert "8-800-333-30-92" in outside


def test_the_channel_is_asked_for_on_every_request(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(PHONE)
    code, before = post.code(), everything()
    inside, browser.address = browser.address, "203.0.113.9"
    form = browser.page.form_of(ENTER)
    for path in ("", "/code", "/report"):
        assert browser.open(f"/confirmation/{asked}{path}").status == 403
    for path in ("/phone", "/code", "/code/new", "/email", "/report"):
        answer = browser.ask(
            "post", f"/confirmation/{asked}{path}", data=form.fields | {"code": code}
        )
        assert answer.status_code == 403
    assert everything() == before
    browser.address = inside
    browser.open(f"/confirmation/{asked}/code").press(ENTER, code=code)
    assert "подтверждён" in browser.named("phone-status")


def test_an_organisations_own_networks_replace_the_portals(
    new_browser: Callable[..., Browser],
    post: Post,
    keep: Callable[..., None],
    ask: Callable[..., str],
) -> None:
    keep(networks="10.31.7.0/24 2001:db8:7::/48")
    ask()
    link = post.link()
    assert new_browser("10.20.4.17").open(link).status == 403
    assert new_browser("10.31.7.5").open(link).status == 200
    assert new_browser("::ffff:10.31.7.5").open(link).status == 200
    assert new_browser("2001:db8:7::5").open(link).status == 200


def test_who_is_inside_is_not_told_to_be_outside(
    new_browser: Callable[..., Browser],
    keep: Callable[..., None],
    ask: Callable[..., str],
) -> None:
    keep(networks="10.31.7.0/24")
    id = ask()
    restarted = new_browser("10.31.7.5")  # its cookie went with the window
    assert restarted.open(f"/confirmation/{id}").status == 410
    assert "Откройте ссылку из письма" in restarted
    assert new_browser("10.20.4.17").open(f"/confirmation/{id}").status == 403


def test_a_proxys_word_counts_only_from_a_listed_one(
    environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    environment["PORTAL_TRUSTED_PROXIES"] = "192.0.2.0/28"
    browser, post = (request.getfixturevalue(name) for name in ("browser", "post"))
    request.getfixturevalue("asked")
    link = post.link()

    def status(peer: str, header: str | None) -> int:
        browser.address = peer
        browser.headers = {} if header is None else {"X-Forwarded-For": header}
        return browser.open(link).status

    assert status("192.0.2.1", "10.20.4.17") == 200
    assert status("192.0.2.1", "203.0.113.9, 10.20.4.17") == 200
    assert status("192.0.2.1", "10.20.4.17, 203.0.113.9") == 403
    assert status("192.0.2.1", None) == 403
    assert status("192.0.2.1", '"') == 403
    assert status("192.0.2.1", "10.20.4.17, ") == 403
    assert status("203.0.113.9", "10.20.4.17") == 403
    assert status("10.20.4.17", "203.0.113.9") == 200  # not a proxy: its header is idle talk


# The code


def test_pressing_twice_sends_one_sms(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(PHONE)
    browser.open(f"/confirmation/{asked}").press(PHONE)
    assert len(post.codes()) == 1
    assert browser.has("code")


def test_the_countdown_ends_no_sooner_than_the_code(
    browser: Browser, post: Post, asked: str
) -> None:
    """Else the page would ask again and again for what has not happened yet."""
    browser.open(post.link()).press(PHONE)
    assert 'data-countdown="600"' in browser.response.text


def test_no_code_is_counted_down_that_an_operator_refused(
    browser: Browser, post: Post, asked: str
) -> None:
    def refuse(message: Outgoing) -> str:
        raise Trouble(Reason.REFUSED, permanent=True)

    post.sms.send = refuse  # type: ignore[method-assign]
    browser.open(post.link()).press(PHONE)
    post.deliver()
    browser.open(f"/confirmation/{asked}/code")
    assert "Если в номере ошибка, закройте это окно и сообщите о ней." in browser
    assert browser.named("code-left") == ""


def test_a_code_before_any_was_sent_is_told_so(browser: Browser, post: Post, asked: str) -> None:
    """From a popup that stands open in an old window, say: there is none on the page now."""
    browser.open(post.link())
    token = browser.page.form_of(PHONE).fields["csrf_token"]
    form = {"csrf_token": token, "code": "123456"}
    answer = browser.ask("post", f"/confirmation/{asked}/code", data=form)
    assert answer.status_code == 422
    assert "Код ещё не отправлен. Запросите его." in answer.text


def test_a_wrong_code_says_how_many_tries_are_left(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(PHONE)
    for left in (4, 3, 2, 1):
        browser.press(ENTER, code=wrong(post))
        assert browser.status == 422
        assert f"Осталось попыток: {left}" in browser.named("code-error")
    browser.press(ENTER, code=wrong(post))
    assert "Попытки закончились" in browser.named("code-error")
    browser.press(ENTER, code=post.code())
    assert "Попытки закончились" in browser.named("code-error")


@pytest.mark.parametrize(
    "typed",
    [
        "abcdef",
        "１２３４５６",
        "12 34",
        "9" * 4096,
        "123456\x00",
        "-",
        "1234567",
        "ñ",
        "<b>1</b>",
        "١٢٣٤٥٦",
    ],
)
def test_anything_else_is_a_wrong_code(
    browser: Browser, post: Post, asked: str, typed: str
) -> None:
    browser.open(post.link()).press(PHONE).press(ENTER, code=typed)
    assert browser.status == 422
    assert "Осталось попыток: 4" in browser.named("code-error")


def test_no_code_at_all_is_no_try(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(PHONE).press(ENTER, code="  ")
    assert browser.status == 422
    assert "Введите шесть цифр" in browser.named("code-error")
    browser.press(ENTER, code=wrong(post))
    assert "Осталось попыток: 4" in browser.named("code-error")


def test_a_dead_code_says_so_even_to_an_empty_field(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(PHONE)
    for _ in range(5):
        browser.press(ENTER, code=wrong(post))
    browser.press(ENTER, code="")
    assert "Попытки закончились" in browser.named("code-error")


def test_spaces_and_hyphens_are_forgiven(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(PHONE)
    code = post.code()
    browser.press(ENTER, code=f" {code[:3]}-{code[3:]} ")
    assert "подтверждён" in browser.named("phone-status")


def test_a_code_works_ten_minutes(browser: Browser, post: Post, asked: str, time: Time) -> None:
    browser.open(post.link()).press(PHONE)
    code = post.code()
    time.passes(minutes=10)
    browser.press(ENTER, code=code)
    assert browser.status == 422
    assert "Срок действия кода истёк" in browser.named("code-error")
    browser.press(AGAIN).press(ENTER, code=post.code())
    assert "подтверждён" in browser.named("phone-status")


def test_an_older_code_says_that_a_newer_one_was_sent(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(PHONE)
    older = post.code()
    time.passes(seconds=30)
    browser.press(AGAIN).press(ENTER, code=older)
    assert re.search(
        r"Это прежний код\. В \d\d:\d\d мск мы отправили новый", browser.named("code-error")
    )
    browser.press(ENTER, code=post.code())
    assert "подтверждён" in browser.named("phone-status")


def test_an_older_code_on_the_last_try_asks_for_a_new_one(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(PHONE)
    older = post.code()
    time.passes(seconds=30)
    browser.press(AGAIN)
    for _ in range(4):
        browser.press(ENTER, code=wrong(post))
    browser.press(ENTER, code=older)
    assert "Попытки закончились" in browser.named("code-error")


def test_a_code_of_another_request_is_wrong(
    browser: Browser, post: Post, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    keep()
    keep("ORG-2", email="p@yug.example")  # the same phone
    ask()
    ask("ORG-2")
    browser.open(post.link("p@yug.example")).press(PHONE)
    others = post.code()
    browser.open(post.link()).press(PHONE)
    assert others != post.code()
    browser.press(ENTER, code=others)
    assert "Неверный код" in browser.named("code-error")


def test_codes_are_sent_again_after_longer_and_longer_waits(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(PHONE)
    for number, wait in enumerate((30, 60, 120, 300), start=1):
        time.passes(seconds=wait - 20)
        browser.press(AGAIN)
        assert browser.status == 429
        assert int(browser.response.headers["Retry-After"]) <= 20
        assert "можно отправить через 0:" in browser
        assert len(post.codes()) == number
        time.passes(seconds=20)
        assert browser.press(AGAIN).status == 200
        assert len(post.codes()) == number + 1


def test_a_number_gets_five_codes_in_ten_minutes(
    browser: Browser, post: Post, asked: str, ask: Callable[..., str], time: Time
) -> None:
    for _ in range(5):
        ask()
        browser.open(post.link()).press(PHONE)
        post.deliver()
    assert len(post.codes()) == 5
    ask()
    assert browser.open(post.link()).press(PHONE).status == 429
    assert browser.has("notice")
    time.passes(minutes=10)
    assert browser.press(PHONE).status == 200
    assert len(post.codes()) == 6


def test_a_number_gets_ten_codes_in_a_day(
    browser: Browser, post: Post, asked: str, ask: Callable[..., str], time: Time
) -> None:
    for _ in range(10):
        ask()
        browser.open(post.link()).press(PHONE)
        time.passes(minutes=11)
    ask()
    assert browser.open(post.link()).press(PHONE).status == 429
    time.passes(hours=23)
    assert browser.press(PHONE).status == 200


def test_after_a_clock_that_was_ahead_codes_and_links_are_sent_again(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    here = browser.open(post.link()).path
    time.passes(hours=2)
    browser.press(PHONE)
    browser.open(here).press(EMAIL)
    clock.reset()
    assert browser.open(here).send(f"{here}/code/new").status == 200
    assert len(post.codes()) == 1, "the one that was posted ahead is withdrawn"
    assert browser.open(here).send(f"{here}/email", again="").status == 200
    subjects = [each.subject for each in post.letters(LOMOVA.email)]
    assert subjects.count("Подтверждение email") == 1, "and so is this one"


def test_a_person_gets_twenty_codes_in_a_day(
    browser: Browser, post: Post, keep: Callable[..., None], ask: Callable[..., str], time: Time
) -> None:
    for number in range(20):
        names = "Ломова", "Петрова"  # a new person does not begin anew
        keep(phone=f"+79215550{number:03}", last_name=names[number % 2])
        ask()
        assert browser.open(post.link()).press(PHONE).status == 200
        time.passes(minutes=2)
    keep(phone="+79215551000")
    ask()
    assert browser.open(post.link()).press(PHONE).status == 429


def test_ten_wrong_codes_in_a_row_make_a_pause(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    here = browser.open(post.link()).path
    browser.press(PHONE)
    for _ in range(5):
        browser.press(ENTER, code=wrong(post))
    time.passes(seconds=30)
    browser.press(AGAIN)  # a new code does not reset the count
    for _ in range(4):
        assert browser.press(ENTER, code=wrong(post)).status == 422
    browser.press(ENTER, code=wrong(post))
    assert browser.status == 429
    assert int(browser.response.headers["Retry-After"]) == pytest.approx(900, abs=2)
    assert "Слишком много неверных кодов подряд" in browser.named("code-error")

    assert ENTER not in browser.page.buttons, "no code is taken, so none is asked for"
    time.passes(minutes=14)
    assert browser.send(f"{here}/code", code=post.code()).status == 429  # nor a right one
    assert browser.press(AGAIN).status == 429  # nor is one sent
    assert "коды не принимаются; email можно" in browser.open(here).named("phone-paused")
    assert "коды не принимаются" in browser.press(PHONE).named("code-error")
    assert "Код действует" not in browser.named("code-left")
    assert len(post.codes()) == 2
    time.passes(minutes=1)
    browser.press(AGAIN).press(ENTER, code=post.code())
    assert "подтверждён" in browser.named("phone-status")


def test_the_popup_says_whom_to_call(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(PHONE)
    assert "Позвоните в поддержку ИЗКТ по номеру 8-800-333-30-92" in browser
    assert "назовите ID организации: ORG-004217" in browser
    assert "Код действует ещё" in browser.named("code-left")


def test_a_code_that_was_taken_is_no_error(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press(PHONE)
    form, code = browser.page.form_of(ENTER), post.code()
    browser.press(ENTER, code=code)
    again = browser.ask("post", form.action, data=form.fields | {"code": code})
    assert again.status_code == 200
    assert "подтверждён" in again.text


class Silence:
    """A gateway that is not there."""

    def send(self, message: Outgoing) -> str:
        raise Trouble(Reason.UNREACHABLE)

    def close(self) -> None:
        """Nothing is open."""


def test_a_gateway_that_was_down_is_not_called_a_refusal(
    app: Flask, browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(PHONE)
    outbox.deliver_due("sms", Silence())
    browser.open(f"/confirmation/{asked}/code")
    assert "Сеть оператора пока не отвечает" in browser
    time.passes(minutes=10)
    outbox.deliver_due("sms", Silence())
    browser.open(f"/confirmation/{asked}/code")
    assert "сеть оператора не отвечала, пока код действовал" in browser
    assert "не принял" not in browser


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble(Reason.UNREACHABLE), "почтовый сервер слишком долго не отвечал"),
        (Trouble(Reason.UNKNOWN), "мы не знаем, ушло ли письмо"),
        (Trouble(Reason.MISCONFIGURED), "из-за настроек портала. Позвоните в поддержку"),
        (Trouble(Reason.REFUSED, permanent=True), "почтовый сервер не принял адрес"),
    ],
)
def test_why_the_second_letter_failed_is_said(
    browser: Browser, post: Post, asked: str, time: Time, trouble: Trouble, said: str
) -> None:
    def fail(message: Outgoing) -> str:
        raise trouble

    browser.open(post.link()).press(EMAIL)
    post.email.send = fail  # type: ignore[method-assign]
    outbox.deliver_due("email", post.email)
    time.passes(hours=4)
    outbox.deliver_due("email", post.email)
    browser.open(f"/confirmation/{asked}")
    assert said in browser.named("email-sent")


# The second link


def test_looking_at_the_second_link_confirms_nothing(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(EMAIL)
    for _ in range(3):
        browser.open(post.link())
        assert "Пока вы её не нажмёте, ничего не изменится" in browser
    assert confirmed() == set()


def test_the_second_link_opens_in_another_browser(
    browser: Browser, new_browser: Callable[..., Browser], post: Post, asked: str
) -> None:
    browser.open(post.link()).press(EMAIL)
    other = new_browser("10.20.99.1").open(post.link()).press("Подтвердить адрес")
    assert "подтверждён" in other
    assert "К данным организации" not in other.page.links
    assert "подтверждён" in browser.open(f"/confirmation/{asked}").named("email-status")


def test_the_second_link_works_a_day_and_once(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(EMAIL)
    link = post.link()
    browser.open(link)
    time.passes(hours=24)
    assert browser.press("Подтвердить адрес").status == 409
    assert browser.open(link).status == 410
    assert "Срок ссылки истёк" in browser
    browser.open(f"/confirmation/{asked}").press(EMAIL)
    link = post.link()
    browser.open(link)
    form = browser.page.form_of("Подтвердить адрес")
    browser.press("Подтвердить адрес")
    again = browser.ask("post", form.action, data=form.fields)
    assert again.status_code == 200  # a double click
    assert browser.open(link).status == 410
    assert "Email подтверждён" in browser


def test_the_second_link_changes_its_page_in_place(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(EMAIL)
    browser.open(post.link())
    form = browser.page.form_of("Подтвердить адрес")
    scripted = {"HX-Request": "true", "HX-Target": "div#link"}
    answer = browser.ask("post", form.action, data=form.fields, headers=scripted)
    assert answer.status_code == 200
    assert answer.text.startswith('<div id="link"')
    assert "Email подтверждён" in answer.text
    assert confirmed() == {"email"}


def test_a_newer_second_link_retires_the_older_one(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    browser.open(post.link()).press(EMAIL)
    older = post.link()
    assert browser.press(AGAIN).status == 429
    time.passes(seconds=60)
    assert browser.open(f"/confirmation/{asked}").press(AGAIN).status == 200
    assert browser.open(older).status == 410
    assert "мы отправили новое письмо" in browser
    assert browser.open(post.link()).press("Подтвердить адрес").status == 200


def test_a_changed_address_retires_the_second_link(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None]
) -> None:
    browser.open(post.link()).press(EMAIL)
    link = post.link()
    browser.open(link)
    keep(email="new@sever-trakt.example")
    assert browser.press("Подтвердить адрес").status == 409
    assert browser.open(link).status == 410
    assert confirmed() == set()


def test_what_is_sent_last_ends_with_its_request(
    browser: Browser, post: Post, asked: str, time: Time
) -> None:
    link = post.link()
    browser.open(link)
    with db.reading():
        found = confirmation.find(asked)
    assert found
    end = moment(found.expires_at)
    time.passes(days=6, hours=23, minutes=55)
    browser.open(f"/confirmation/{asked}").press(EMAIL)
    assert f"Ссылка в письме действует до {end}" in browser
    second = post.link()
    assert f"Ссылка действует до {end}" in post.letters(LOMOVA.email)[-1].text
    browser.open(f"/confirmation/{asked}").press(PHONE)
    assert re.search("Код действует ещё (5:00|4:5.)", browser.named("code-left"))
    time.passes(minutes=6)
    assert browser.open(second).status == 410
    assert f"Ссылка действовала до {end}" in browser
    assert ADMINISTRATOR in browser
    assert browser.open(link).status == 410


def test_the_windows_of_several_organisations_stay_open(
    browser: Browser, post: Post, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    pages = []
    for number in range(8):
        keep(f"ORG-{number}")
        pages.append(f"/confirmation/{ask(f'ORG-{number}')}")
        browser.open(post.link())
    for page in pages:
        browser.open(page).press(EMAIL)
        browser.open(post.link()).press("Подтвердить адрес")
    assert [browser.open(page).status for page in pages] == [200] * 8


# What changes meanwhile


def test_a_report_that_comes_too_late_shows_what_was_written(
    browser: Browser, post: Post, asked: str, ask: Callable[..., str]
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    ask()
    browser.press(
        "Отправить администратору", comment="Номер\nсменился.", new_position="<b>Директор</b>"
    )
    assert browser.status == 409
    assert "Есть более новое письмо" in browser
    assert "Комментарий: Номер сменился." in browser.named("written")
    assert "Должность: <b>Директор</b>" in browser.named("written")
    assert "csrf" not in browser.named("written")


def test_a_report_leads_its_reader_nowhere(browser: Browser, post: Post, asked: str) -> None:
    """It stands in a letter of the portal to the administrator."""
    browser.open(post.link()).follow("Сообщить об ошибке")
    browser.press("Отправить администратору", comment="Ваш сеанс истёк: https://izkt.example/")
    assert browser.status == 422
    assert "Здесь не может быть ссылки." in browser
    assert post.letters(ADMINISTRATOR) == []


def test_a_report_from_outside_the_channel_shows_what_was_written(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    here, browser.address = browser.address, "203.0.113.9"
    browser.press("Отправить администратору", comment="Номер сменился.")
    assert browser.status == 403
    assert "Подключитесь к защищённому каналу" in browser
    assert "Комментарий: Номер сменился." in browser.named("written")
    browser.address = here
    assert browser.open(post.link()).status == 200


@pytest.mark.sqlite
def test_a_report_that_the_database_does_not_take_shows_what_was_written(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    away("messages", "elsewhere")
    browser.press("Отправить администратору", comment="Номер сменился.")
    assert browser.status == 503
    assert "Ничего не потеряно" in browser
    assert "Комментарий: Номер сменился." in browser.named("written")
    away("elsewhere", "messages")
    assert browser.open(post.link()).page.heading == "ООО «Северный тракт»", "nothing of it is kept"


def away(table: str, to: str) -> None:
    """A table that is not there: the nearest to a broken database that the rest survives."""
    with db.writing():
        db.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))
        db.commit()


def test_a_changed_record_is_shown_and_not_confirmed(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None]
) -> None:
    browser.open(post.link()).press(PHONE)
    keep(phone="+79215550199", position="Начальник гаража")
    browser.press(ENTER, code=post.code())
    assert browser.status == 409
    assert "Данные организации изменились" in browser
    assert "Главный механик Начальник гаража" in browser
    assert "+7 921 555-01-47 +7 921 555-01-99" in browser
    assert confirmed() == set()


def test_an_edit_and_a_new_request_show_what_changed(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    browser.open(post.link())
    keep(position="Начальник гаража")
    ask()
    assert browser.press(PHONE).status == 409
    assert "Есть более новое письмо" in browser
    assert "Начальник гаража" in browser


def test_an_old_link_says_nothing_of_the_record_as_it_is_now(
    browser: Browser,
    new_browser: Callable[..., Browser],
    post: Post,
    asked: str,
    keep: Callable[..., None],
    time: Time,
) -> None:
    """Who got it at a wrong address must not read the right one in it."""
    link = post.link()
    browser.open(link)
    page = browser.path
    keep(phone="+79215550199")
    assert "+79215550199" not in new_browser().open(link).text.replace(" ", "").replace("-", "")
    assert "+7 921 555-01-99" in browser.open(page)
    time.passes(days=7)
    assert browser.open(page).status == 410
    assert "Данные организации изменились" in browser
    assert "+7 921 555-01-99" not in browser


def test_a_cancelled_request_says_nothing_of_the_record_as_it_is_now(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None]
) -> None:
    browser.open(post.link())
    with db.writing():
        found = organisation.find("ORG-004217")
        assert found
        assert confirmation.cancel(found, "tests", None)
        db.commit()
    keep(phone="+79215550199")
    assert browser.open(browser.path).status == 410
    assert "+7 921 555-01-99" not in browser


def test_another_persons_data_is_not_shown_to_the_first(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None]
) -> None:
    browser.open(post.link())
    keep(last_name="Петров", first_name="Иван", phone="+79215550199")
    assert browser.press(PHONE).status == 409
    assert "Данные организации изменились" in browser
    assert "Петров" not in browser
    assert "0199" not in browser


def test_a_new_phone_asks_for_the_phone_alone(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    confirm_both(browser, post)
    keep(phone="+79215550199")
    ask()
    letter = post.letters(LOMOVA.email)[-1]
    assert "подтвердить номер телефона, записанный в ИЗКТ" in letter.text
    assert "подтвердите телефон кодом из СМС." in letter.text
    assert "email" not in letter.text
    assert "email" not in (letter.html or "").lower()
    browser.open(post.link())
    assert "подтвердите номер телефона. Не закрывайте" in browser
    assert browser.named("phone-status") == "не подтверждён"
    assert "подтверждён" in browser.named("email-status")
    browser.press(PHONE).press(ENTER, code=post.code("+79215550199"))
    assert browser.has("completed")


def test_a_new_email_asks_for_the_email_alone(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    confirm_both(browser, post)
    keep(email="new@sever-trakt.example")
    ask()
    letter = post.letters("new@sever-trakt.example")[-1]
    assert "подтвердить email, записанный в ИЗКТ" in letter.text
    assert "подтвердите email ссылкой из второго письма." in letter.text
    for words in (letter.text, letter.html or ""):
        assert "телефон" not in words.lower()
        assert "СМС" not in words
    browser.open(post.link("new@sever-trakt.example"))
    assert "подтвердите email. Не закрывайте" in browser
    assert browser.named("email-status") == "не подтверждён"
    assert "подтверждён" in browser.named("phone-status")


def test_another_person_asks_for_both(
    browser: Browser, post: Post, asked: str, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    confirm_both(browser, post)
    keep(last_name="Петров", first_name="Иван")
    ask()
    browser.open(post.link())
    assert browser.named("phone-status") == "не подтверждён"
    assert browser.named("email-status") == "не подтверждён"


def test_the_same_person_asks_for_nothing(
    browser: Browser,
    post: Post,
    asked: str,
    keep: Callable[..., None],
    ask: Callable[..., str | None],
) -> None:
    confirm_both(browser, post)
    keep(position="Директор", email=LOMOVA.email.upper())
    assert ask() is None


# An error in the data


def test_an_error_ends_the_request_and_tells_the_administrator(
    browser: Browser, post: Post, asked: str
) -> None:
    link = post.link()
    browser.open(link).follow("Сообщить об ошибке")
    browser.press(
        "Отправить администратору",
        new_position="Начальник гаража",
        new_phone="8 (921) 555-01-99",
        comment="Номер сменился.\nПозвоните, если что.",
    )
    assert "Сообщение об ошибке отправлено" in browser
    assert "новое письмо" in browser
    letter = post.letters(ADMINISTRATOR)[0]
    assert letter.subject == "Сообщение об ошибке в данных"
    words = squeeze(letter.text)
    assert "Должность записано: Главный механик правильно: Начальник гаража" in words
    assert "записано: +7 921 555-01-47 правильно: +7 921 555-01-99" in words
    assert "Номер сменился. Позвоните, если что." in words
    assert browser.open(link).status == 410
    assert "Сообщение об ошибке отправлено" in browser


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "Отметьте, что неверно"),
        ({"wrong_inn": "y"}, "Укажите, как правильно"),
        ({"new_inn": "123"}, "ИНН состоит из 10 или 12 цифр"),
        ({"new_phone": "позвоните"}, "Введите номер полностью"),
        ({"new_email": "нет"}, "Введите адрес полностью"),
        ({"new_position": "Главный механик"}, "Так и записано"),
        ({"new_position": "=1+1"}, "не может начинаться"),
        ({"comment": "x" * 2001}, "Слишком длинно"),
        ({"comment": "a\x07b"}, "непечатаемые"),
        ({"new_name": "a\x00b"}, "непечатаемые"),
    ],
)
def test_a_report_that_cannot_be_read_is_kept(
    browser: Browser, post: Post, asked: str, answers: dict[str, str], said: str
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    form = browser.page.form_of("Отправить администратору")
    form.fields |= dict.fromkeys(answers, "")
    browser.press(
        "Отправить администратору", **{"new_first_name": "Арина", **answers} if answers else {}
    )
    assert browser.status == 422
    assert said in browser
    if answers:
        kept = browser.page.form_of("Отправить администратору").fields
        assert kept["new_first_name"] == "Арина"
    assert not post.letters(ADMINISTRATOR)


# Forms


def test_a_form_older_than_its_token_keeps_what_was_typed(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press(PHONE)
    code = post.code()
    browser.page.form_of(ENTER).fields["csrf_token"] = "of yesterday"
    browser.press(ENTER, code=code)
    assert browser.status == 422
    assert "Ничего не потеряно: нажмите кнопку ещё раз" in browser
    assert browser.page.form_of(ENTER).fields["code"] == code
    browser.press(ENTER, code=browser.page.form_of(ENTER).fields["code"])
    assert "подтверждён" in browser.named("phone-status")


def test_a_report_with_an_old_token_keeps_what_was_typed(
    browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    browser.page.form_of("Отправить администратору").fields["csrf_token"] = ""
    browser.press("Отправить администратору", new_first_name="Арина")
    assert browser.status == 422
    assert browser.page.form_of("Отправить администратору").fields["new_first_name"] == "Арина"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"code=" + b"1" * 70_000, 413),
        (b"&".join(b"f%d=1" % number for number in range(5000)), 413),
        (b"code=%ff%fe%00", 422),
        (b"\xff\xfe\x00", 422),
    ],
)
def test_a_hostile_body_gets_a_clear_answer(
    browser: Browser, post: Post, asked: str, body: bytes, status: int
) -> None:
    browser.open(post.link()).press(PHONE)
    kind = "application/x-www-form-urlencoded"
    answer = browser.ask("post", f"/confirmation/{asked}/code", data=body, content_type=kind)
    assert answer.status_code == status
    assert "<h1" in answer.text


def test_markup_in_a_record_is_shown_as_text(
    browser: Browser, post: Post, keep: Callable[..., None], ask: Callable[..., str]
) -> None:
    keep(short_name="<script>alert(1)</script>", position='"><img src=x onerror=alert(1)>')
    ask()
    browser.open(post.link())
    assert "<script>alert" not in browser.response.text
    assert "<img" not in browser.response.text
    assert "<script>alert(1)</script>" in browser


def confirm_both(browser: Browser, post: Post) -> None:
    browser.open(post.link()).press(PHONE).press(ENTER, code=post.code())
    browser.press(EMAIL).open(post.link()).press("Подтвердить адрес")


def confirmed() -> set[str]:
    with db.reading():
        rows = db.all(confirmation.tables.proofs.select())
    return {row.kind for row in rows}


def everything() -> list[object]:
    """Every row of every table, but for the post, which the tests' own worker moves."""
    with db.reading():
        return [
            db.all(table.select())
            for name, table in sorted(metadata.tables.items())
            if name != "messages"
        ]
