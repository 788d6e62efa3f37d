"""Help: it answers everybody, says what the buttons say, and is linked from where one is stuck."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from portal.account import OPERATIONAL, Role
from portal.routes.help import GUIDES
from tests.browser import squeeze
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post

    NewBrowser = Callable[..., Browser]

PORTAL = Path(__file__).parents[1] / "portal"
TEMPLATES = PORTAL / "templates"
PICTURES = PORTAL / "static" / "help"
CATALOGUE = PORTAL / "translations" / "en" / "LC_MESSAGES" / "messages.po"
OUTSIDE = "203.0.113.9"
PATHS = ["/help", *(f"/help/{audience}" for audience in GUIDES)]
QUOTED = re.compile("«([^«»]*(?:«[^«»]*»[^«»]*)?)»")  # as «До статуса «Проверена»», one within
IMAGE = re.compile(
    r'<img src="/static/help/([\w-]+)\.png\?v=\w+" width="(\d+)" height="(\d+)" alt="([^"]+)" '
    r'loading="lazy">\s*<figcaption>([^<]+)</figcaption>'
)
HEAVIEST, HEAVIEST_TOGETHER = 60_000, 1_000_000  # bytes
FEWEST, MOST = 3, 10  # pictures of a page
TO_HELP = re.compile(r"audience='([\w-]+)', _anchor='([\w-]+)'")


@pytest.fixture(scope="module")
def texts() -> dict[bool, set[str]]:
    """What templates and code say; under True what help says."""
    with (PORTAL / "translations" / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found: dict[bool, set[str]] = {True: set(), False: set()}
    keywords = DEFAULT_KEYWORDS | {"mark": None}
    for file_name, _line, text, _comments, _context in extract_from_dir(
        PORTAL, methods, options, keywords
    ):
        found["help" in Path(file_name).with_suffix("").parts].add(str(text))
    return found


# The pages


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("address", ["10.20.4.17", OUTSIDE])
def test_it_answers_everybody_from_everywhere(
    new_browser: NewBrowser, path: str, address: str
) -> None:
    browser = new_browser(address).open(path)
    assert browser.status == 200
    assert "8-800-333-30-92" in browser
    assert "Set-Cookie" not in browser.response.headers


def test_the_first_page_leads_to_all_others(browser: Browser) -> None:
    browser.open("/help")
    assert len(browser.every("audience")) == len(GUIDES)
    for audience, guide in GUIDES.items():
        assert browser.page.links[guide.title] == f"/help/{audience}"


@pytest.mark.parametrize("name", ["nobody", "page", "words", "guide", "lost_device", "..", "РУ"])
def test_for_others_there_is_no_page(browser: Browser, name: str) -> None:
    assert browser.open(f"/help/{name}").status == 404


@pytest.mark.parametrize("audience", GUIDES)
def test_each_says_who_it_is_for_and_what_may_go_wrong(browser: Browser, audience: str) -> None:
    browser.open(f"/help/{audience}")
    assert browser.page.heading == GUIDES[audience].title
    assert browser.named("lede")
    assert len(browser.named("troubles")) > 1000
    contents = re.findall(r'<a href="#([\w-]+)">', browser.response.text)
    assert contents[-1] == "troubles"
    sections = re.findall(r'<section aria-labelledby="([\w-]+)">', browser.response.text)
    assert contents == sections, "all sections, in their order"
    assert set(sections) <= set(browser.page.ids)


def test_numbers_that_are_settings_come_from_them(
    environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    chosen = {
        "LINK_DAYS": "19",
        "CODE_MINUTES": "18",
        "EMAIL_LINK_HOURS": "37",
        "TRIES_PER_CODE": "9",
        "WRONG_CODES_BEFORE_PAUSE": "17",
        "PAUSE_MINUTES": "29",
        "SESSION_IDLE_MINUTES": "59",
        "SESSION_HOURS": "14",
        "RECOVERY_HOURS": "67",
        "RECOVERY_STAFF_HOURS": "97",
        "CAMPAIGN_PER_MINUTE": "83",
        "QUEUE_DAYS": "47",
        "SUPPORT_PHONE": "8-800-555-35-35",
        "SUPPORT_HOURS": "всегда",
        "MAIL_SENDER": "mail@izkt.example",
    }
    environment |= {f"PORTAL_{name}": value for name, value in chosen.items()}
    browser: Browser = request.getfixturevalue("browser")
    said = " ".join(browser.open(path).text for path in PATHS)
    for name, value in chosen.items():
        assert value in said, name
    numbers = re.compile(r"\d+[ \N{NO-BREAK SPACE}](?:дн|мин|ч|раз)\b")
    assert {found[0].split()[0] for found in numbers.finditer(said)} <= set(chosen.values())


# The words


def test_every_name_it_quotes_is_on_a_page(texts: dict[bool, set[str]]) -> None:
    """A button that is called otherwise today would leave the reader alone."""
    names = {(name, text) for text in texts[True] for name in QUOTED.findall(text)}
    assert len(names) > 150
    known = texts[False] | {text.partition(". ")[0] for text in texts[False]}
    assert not [pair for pair in sorted(names) if pair[0] not in known]


def test_the_translation_quotes_the_translated_names(texts: dict[bool, set[str]]) -> None:
    with CATALOGUE.open("rb") as file:
        english = {str(each.id): str(each.string) for each in read_po(file, locale="en") if each.id}
    for text in texts[True]:
        for name in QUOTED.findall(text):
            if english.get(text) and english.get(name):
                # Letters are Russian in every language, so their subjects are, too.
                names = plain(english[name]), plain(name)
                assert any(each in plain(english[text]) for each in names), (name, text)


def plain(words: str) -> str:
    """Without what a quotation may change: quotes within quotes, and the dot at its end."""
    return re.sub("[‘’“”«»]", "", words).rstrip(".").lower()


# The pictures


@pytest.mark.parametrize("audience", GUIDES)
def test_each_has_pictures_that_say_what_they_show(browser: Browser, audience: str) -> None:
    html = browser.open(f"/help/{audience}").response.text
    found = IMAGE.findall(html)
    assert len(found) == html.count("<img") == html.count("<figure>")
    assert FEWEST <= len(found) <= MOST
    for name, width, height, alt, caption in found:
        png = (PICTURES / f"{name}.png").read_bytes()
        assert struct.unpack_from(">II", png, 16) == (int(width), int(height)), name
        assert len(squeeze(alt)) > 40, name
        assert squeeze(caption), name


def test_every_picture_is_used_and_none_is_heavy(browser: Browser) -> None:
    used = {
        name
        for audience in GUIDES
        for name, *_ in IMAGE.findall(browser.open(f"/help/{audience}").response.text)
    }
    sizes = {each.stem: each.stat().st_size for each in PICTURES.iterdir()}
    assert used == set(sizes)
    assert max(sizes.values()) <= HEAVIEST
    assert sum(sizes.values()) <= HEAVIEST_TOGETHER


def test_a_picture_is_kept_by_the_browser(browser: Browser) -> None:
    html = browser.open("/help/responsible").response.text
    picture = browser.ask("get", re.findall(r'<img src="([^"]+)"', html)[0], buffered=True)
    assert picture.mimetype == "image/png"
    assert "immutable" in picture.headers["Cache-Control"]


# The way there


def help_of(browser: Browser) -> str:
    """Where «Помощь» leads."""
    return browser.page.links["Помощь"]


@pytest.mark.parametrize("role", Role)
def test_the_bar_leads_everybody_to_their_own(
    keep: Callable[..., None], browser: Browser, role: Role
) -> None:
    keep()
    enrol("p@sever-trakt.example", role).sign_in(browser)
    own = "operations" if role in OPERATIONAL else role
    assert help_of(browser) == f"/help/{own}"
    assert help_of(browser.open("/devices")) == f"/help/{own}"
    assert browser.page.links["Как это устроено: помощь"] == f"/help/{own}"
    menu = browser.page.links.keys()
    assert "Мои устройства" in browser.open(help_of(browser)).page.links
    assert menu & browser.page.links.keys(), "and back by the menu"
    browser.address = OUTSIDE
    assert help_of(browser.open("/devices")) == "/help", "who is outside has no role"


def test_who_is_not_signed_in_chooses(browser: Browser) -> None:
    for path in ("/", "/signin", "/diagnostics", "/nothing", "/cancel"):
        assert help_of(browser.open(path)) == "/help", path


def test_the_responsible_person_is_led_from_every_page(
    browser: Browser, new_browser: NewBrowser, post: Post, asked: str
) -> None:
    def is_led(browser: Browser) -> None:
        assert help_of(browser) == "/help/responsible"
        assert browser.page.links["Как это устроено: помощь"] == "/help/responsible"

    link = post.link()
    is_led(browser.open(link))
    is_led(browser.press("Подтвердить номер телефона"))
    is_led(browser.open(f"/confirmation/{asked}/report"))
    is_led(browser.open("/confirm/forged"))
    outside = new_browser(OUTSIDE)
    is_led(outside.open(link))
    assert outside.follow("Что делать по шагам").path == "/help/responsible"


def test_help_opens_beside_what_is_being_done(browser: Browser, post: Post, asked: str) -> None:
    """The page asks not to close its window, and forms hold what was typed."""
    for template in TEMPLATES.rglob("*.html"):
        if template.parent.name == "help":
            continue
        for link in re.findall(r"<a [^>]*(?:help_address|help\.guide)[^>]*>", template.read_text()):
            assert 'target="_blank"' in link, template


def test_who_lost_a_device_is_led_to_that(keep: Callable[..., None], browser: Browser) -> None:
    keep()
    person = enrol("p@sever-trakt.example")
    assert help_here(browser.open("/signin")) == "/help/lost-device"
    assert help_here(person.enter_password(browser)) == "/help/lost-device"


def test_the_administrator_is_led_from_the_steps_and_from_the_form(
    keep: Callable[..., None], browser: Browser
) -> None:
    keep()
    enrol("a@sever-trakt.example", Role.ADMINISTRATOR).come_in(browser)
    browser.open("/organisations/ORG-004217")
    assert help_here(browser) == "/help/administrator#statuses"
    assert help_here(browser.open("/organisations/ORG-004217/edit")) == "/help/administrator#edit"


def test_who_is_blocked_is_led_to_why(keep: Callable[..., None], browser: Browser) -> None:
    keep()
    enrol("p@sever-trakt.example").come_in(browser)
    assert help_here(browser.open("/operations")) == "/help/operations#closed"


def test_an_empty_queue_says_how_verification_works(
    keep: Callable[..., None], browser: Browser
) -> None:
    keep()
    enrol("o@izkt.example", Role.SPECIALIST).come_in(browser)
    assert help_here(browser.open("/verifications")) == "/help/specialist"


def test_a_link_that_ended_says_why_links_do(
    browser: Browser, post: Post, asked: str, time: object, ask: Callable[..., str]
) -> None:
    link = post.link()
    browser.open(link)
    browser.follow("Сообщить об ошибке").press("Отправить администратору", comment="Не тот ИНН.")
    assert help_here(browser) == "/help/responsible#troubles"


def test_every_place_in_a_page_that_a_link_names_is_there(browser: Browser) -> None:
    named = {
        found for each in TEMPLATES.rglob("*.html") for found in TO_HELP.findall(each.read_text())
    }
    assert len(named) >= 4
    for audience, anchor in named:
        assert anchor in browser.open(f"/help/{audience}").page.ids


def help_here(browser: Browser) -> str:
    """Where the quiet link on what one may be stuck at leads."""
    found = re.search(r'<a href="([^"]+)"[^>]*data-testid="help-here"', browser.response.text)
    assert found, browser.path
    return found[1]
