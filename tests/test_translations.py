"""English: the catalogue keeps up with the code, and a page in English is all in English."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from portal import config, history, language
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable

    from babel.messages.catalog import Catalog, Message
    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

PORTAL = Path(__file__).parents[1] / "portal"
CATALOGUE = PORTAL / "translations" / "en" / "LC_MESSAGES" / "messages.po"
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|%")
CYRILLIC = re.compile(r"[А-Яа-яЁё]+(?:\W+[А-Яа-яЁё]+)*")

# What stays Russian on an English page: the switch, the letters' subjects, and the data.
RUSSIAN = [
    language.LANGUAGES["ru"],
    *history.LETTERS.values(),
    *(getattr(LOMOVA, name) for name in LOMOVA.__slots__),
]


@pytest.fixture(scope="module")
def written() -> set[str]:
    """Every text that the code and the templates look up."""
    with (PORTAL / "translations" / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    keywords = DEFAULT_KEYWORDS | {"mark": None}
    found = extract_from_dir(PORTAL, methods, options, keywords)
    return {str(text) for _file, _line, text, _comments, _context in found}


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="en", abort_invalid=True)


def entries(catalogue: Catalog) -> list[Message]:
    return [entry for entry in catalogue if entry.id]


# The catalogue


def test_the_catalogue_has_the_texts_of_the_code_and_no_others(
    catalogue: Catalog, written: set[str]
) -> None:
    assert len(written) > 100
    assert {entry.id for entry in entries(catalogue)} == written, "run `make translations`"
    assert not catalogue.obsolete


def test_every_text_is_translated(catalogue: Catalog) -> None:
    for entry in entries(catalogue):
        assert str(entry.string).strip(), entry.id
        assert not entry.fuzzy, entry.id


def test_a_translation_keeps_the_placeholders(catalogue: Catalog) -> None:
    for entry in entries(catalogue):
        of_text, of_translation = (
            sorted(found[0] for found in PLACEHOLDER.finditer(str(text)))
            for text in (entry.id, entry.string)
        )
        assert of_text == of_translation, entry.id


def test_no_russian_is_left_in_a_translation(catalogue: Catalog) -> None:
    for entry in entries(catalogue):
        assert not russian_in(str(entry.string)), entry.string


def test_the_compiled_catalogue_is_that_of_the_written_one(catalogue: Catalog) -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = {entry.id: entry.string for entry in entries(read_mo(file))}
    assert compiled == {entry.id: entry.string for entry in entries(catalogue)}, (
        "run `make translations`"
    )


def test_the_default_hours_of_support_are_translated(catalogue: Catalog) -> None:
    assert catalogue.get(config.load(ENVIRONMENT).support_hours)


# A walk in English


@pytest.fixture
def english(browser: Browser) -> Browser:
    return in_english(browser)


def in_english(browser: Browser) -> Browser:
    browser.client.set_cookie("language", "en")
    return browser


def russian_in(text: str) -> list[str]:
    for data in sorted(filter(None, RUSSIAN), key=len, reverse=True):
        text = text.replace(data, "")
    return CYRILLIC.findall(text)


def check(browser: Browser, *words: str) -> None:
    """All of the page is in English, words for screen readers and scripts included."""
    text = html.unescape(browser.response.text).replace("\N{NO-BREAK SPACE}", " ")
    assert not russian_in(text)
    assert '<html lang="en">' in text
    for each in words:
        assert each in browser, each


def test_the_way_of_the_responsible_person(
    english: Browser, post: Post, asked: str, time: Time
) -> None:
    link = post.link()
    check(english.open("/"), "Organisation portal", "working days, 8:00–18:00 Moscow time")
    check(english.open(link), "Confirm phone number", "Confirm email address", "not confirmed")
    check(english.press("Confirm phone number"), "Sending to +7 921 555-01-47")
    older = post.code()
    check(english.open(english.path), "Sent to +7 921 555-01-47", "The code works for another")
    check(english.press("Confirm", code=""), "Enter the six digits")
    check(english.press("Confirm", code="wrong"), "Tries left: 4")
    check(english.press("Send again"), "You can request a new code in 0:")
    time.passes(seconds=30)
    check(english.press("Send again").press("Confirm", code=older), "This is an earlier code")
    check(english.press("Confirm", code=post.code()), "confirmed", "Moscow time")
    check(english.press("Confirm email address"), "The link in the email works until")
    second = post.link()
    check(english.open(f"/confirmation/{asked}"), "The email has been sent")
    check(english.open(second), "Select the button to confirm that the address")
    check(english.press("Confirm this address"), "The phone number is confirmed too")
    check(english.follow("Back to the organisation’s details"), "You have confirmed everything")
    check(english.open(link), "The details are already confirmed")


def test_wrong_codes_and_old_ones(english: Browser, post: Post, asked: str, time: Time) -> None:
    english.open(post.link()).press("Confirm phone number")
    code = post.code()
    time.passes(minutes=10)
    check(english.press("Confirm", code=code), "The code has expired")
    english.press("Send again")
    for _ in range(5):
        english.press("Confirm", code="x")
    check(english, "You have no tries left")
    time.passes(seconds=60)
    english.press("Send again")
    for _ in range(5):
        english.press("Confirm", code="x")
    check(english, "Too many wrong codes in a row")


def test_an_error_in_the_data(english: Browser, post: Post, asked: str) -> None:
    english.open(post.link())
    check(english.follow("Report an error"), "Mark what is wrong")
    mistakes = {
        "new_inn": "1",
        "new_kpp": "1",
        "new_ogrn": "x",
        "new_phone": "1",
        "new_email": "x",
        "new_name": "=1",
        "new_short_name": "x" * 201,
        "new_position": LOMOVA.position,
        "wrong_last_name": "y",
    }
    english.page.form_of("Send to the administrator").fields |= dict.fromkeys(mistakes, "")
    check(english.press("Send to the administrator", **mistakes), "An INN has 10 or 12 digits")
    english.open(f"/confirmation/{asked}/report")
    check(english.press("Send to the administrator", comment="INN"), "The error has been reported")


def test_how_a_request_ends(
    english: Browser,
    post: Post,
    asked: str,
    keep: Callable[..., None],
    ask: Callable[..., str],
    time: Time,
) -> None:
    first = post.link()
    ask()
    check(english.open(first), "There is a newer email")
    page = english.open(post.link()).path
    keep(phone="+79215550199")
    check(english.open(page), "The organisation’s details have changed", "Before", "Now")
    ask()
    third = post.link()
    time.passes(days=7)
    check(english.open(third), "The link has expired")


def test_the_pages_that_say_sorry(
    app: Flask, english: Browser, new_browser: Callable[..., Browser], post: Post, asked: str
) -> None:
    check(english.open("/nothing"), "Page not found")
    check(english.open("/confirm/forged"), "The link does not work")
    check(english.open(f"/confirmation/{asked}"), "Open the link in the email")
    check(english.open("/signout"), "This page cannot be opened this way")
    outside = in_english(new_browser("203.0.113.9")).open(post.link())
    check(outside, "Connect to the secure channel", "S-Terra Client", "203.0.113.9")


def test_letters_and_sms_stay_russian(english: Browser, post: Post, asked: str) -> None:
    english.open(post.link()).press("Confirm phone number")
    english.open(f"/confirmation/{asked}").press("Confirm email address")
    letter = post.letters(LOMOVA.email)[-1]
    assert letter.subject == "Подтверждение email"
    assert "Ссылка действует до" in letter.text
    assert "Moscow" not in letter.text + letter.html
    assert "Никому его не сообщайте" in post.sms.arrived[-1].text
    english.follow("Report an error").press("Send to the administrator", new_position="Директор")
    assert "Должность" in post.letters(ADMINISTRATOR)[-1].text


# The language switch


def test_each_language_has_templates_of_its_own(app: Flask) -> None:
    """Texts are in their places before a page is shown, so neither language may see the other's."""
    said = {}
    for chosen in ("ru", "en", "ru", "en"):
        language.choose(chosen)
        with app.test_request_context():
            said[chosen] = app.jinja_env.get_template("sorry.html").render(title="", advice="")
    assert language.tied("К содержанию") in said["ru"]
    assert language.tied("К содержанию") not in said["en"]
    assert "Skip to main content" in said["en"]


def test_the_switch_goes_back_to_its_page(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    page = browser.path
    browser.headers = {"Referer": f"http://localhost{page}"}
    browser.follow("English")
    assert browser.path == page
    check(browser, "Enter the code from the text message")
    browser.follow("Русский")
    assert browser.path == page
    assert "Введите код из СМС" in browser


@pytest.mark.parametrize(
    ("answered", "shown"), [("phone", ""), ("email", ""), ("code/new", "/code")]
)
def test_from_the_answer_to_a_form_the_switch_goes_to_its_page(
    browser: Browser, post: Post, asked: str, answered: str, shown: str
) -> None:
    browser.open(post.link())
    browser.headers = {"Referer": f"http://localhost/confirmation/{asked}/{answered}"}
    browser.open("/language/en")
    assert (browser.status, browser.path) == (200, f"/confirmation/{asked}{shown}")


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "nothing",
        "https://evil.example/",
        "https://evil.example/confirm/x",
        "//evil.example/",
        "http://localhost@evil.example/",
        "http://localhost.evil.example/",
        "http://localhost//evil.example/",
        "http://localhost/\\evil.example/",
        "http://localhost/\\/evil.example",
        "http://localhost/\t/evil.example",
        "http://localhost/%5Cevil.example",
        "http://localhost/nothing",
        "http://[evil",
        "javascript:alert(1)",
    ],
)
def test_the_switch_never_leads_to_another_site(browser: Browser, referer: str) -> None:
    headers = {"Referer": referer}
    answer = browser.ask("get", "/language/en", headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("referer", "way"),
    [
        ("/help?q=%D0%BA%D0%BE%D0%B4&page=2", "/help?q=%D0%BA%D0%BE%D0%B4&page=2"),
        ("/help?", "/help"),
        ("/help?q=%0d%0aSet-Cookie:x=1", "/help?q=%0D%0ASet-Cookie%3Ax%3D1"),
        ("/nothing?q=1", "/"),
    ],
)
def test_the_switch_keeps_what_was_searched_for(browser: Browser, referer: str, way: str) -> None:
    headers = {"Referer": f"http://localhost{referer}"}
    answer = browser.ask("get", "/language/en", headers=headers, follow_redirects=False)
    assert answer.headers["Location"] == way


def test_an_unknown_language_is_no_page(browser: Browser) -> None:
    for code in ("de", "xx", "EN", "ru-RU", "../en"):
        assert browser.open(f"/language/{code}").status == 404
    browser.client.set_cookie("language", "xx")
    assert "Портал организации" in browser.open("/")


# Where lines break


def test_lines_break_nowhere_ugly() -> None:
    assert language.tied("Телефон — кодом из СМС, а почта — ссылкой в письме") == (
        "Телефон\xa0— кодом из СМС, а\xa0почта\xa0— ссылкой в\xa0письме"
    )
    assert language.tied("например +7 921 555-01-47") == "например +7\xa0921\xa0555-01-47"
    assert language.tied("не больше 40 знаков") == "не больше 40\xa0знаков"
    assert language.tied("8:00–18:00 мск") == "8:00–18:00\xa0мск"
    assert language.tied("С-Терра Клиент, 10.0.0.0/8 10.1.0.0/16") == (
        "С-Терра Клиент, 10.0.0.0/8 10.1.0.0/16"
    )
