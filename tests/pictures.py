"""Write the pictures of the help pages to portal/static/help: `python -m tests.pictures`.

They are cut out of a real portal with its sample organisations and people, so they show what the
portal looks like today, and nobody's data.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from portal import account, config, create_app, embedded, organisation, schema
from portal.database import db
from portal.gateways import Reason
from portal.sample_organisations import FIRST
from portal.sample_people import ADMINISTRATOR, OPEN, SECRET, SPECIALIST
from tests.conftest import ENVIRONMENT, Post
from tests.live import launch, served
from tests.people import Person
from tests.signing import enter_password, fill, press, sign_in
from tests.undelivered import undelivered
from tests.window import INSIDE, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import FloatRect, Locator, Page

FOLDER = Path("portal/static/help")
MARGIN = 12  # of the desk around what is shown
COLUMNS = 1120  # pixels: the sheets stand beside each other, the left one as wide as a page of help
LISTS = 900  # the narrowest window in which tables are tables
LIST = 970  # … and the one with most columns is seen in full
SCALE = 0.9  # as a browser that is zoomed out a little: what is shown fits beside the text
SMALLER = 0.84
LOST = "{}@example.ru"
WORKER = "maslov@vyatka-tranzit.example"
BLOCKED = "pankov@smol-per.example"
REPORTED = "ORG-004221"


@dataclass
class Studio:
    """A portal with its samples, and a camera."""

    chromium: Chromium
    url: str
    post: Post
    stack: ExitStack

    def window(
        self, path: str = "", *, at: str = INSIDE, width: int = COLUMNS, scale: float = SCALE
    ) -> Page:
        context = self.chromium.new_context(
            base_url=self.url,
            viewport={"width": width, "height": 900},
            device_scale_factor=scale,
            extra_http_headers={"X-Forwarded-For": at},
            locale="ru-RU",
            reduced_motion="reduce",
        )
        self.stack.callback(context.close)
        page = context.new_page()
        if path:
            page.goto(path)
        return page

    def signed_in(self, email: str, path: str, **of_window: float) -> Page:
        page = self.window(**of_window)  # type: ignore[arg-type] # whole numbers are numbers
        sign_in(page, known(email))
        page.goto(path)
        return page

    def asked_for_factor(self, email: str) -> Page:
        page = self.window()
        enter_password(page, known(email))
        return page

    def shoot(
        self, page: Page, name: str, *shown: Locator, margin: float = MARGIN, at_most: float = 2000
    ) -> None:
        """Keep what is around some elements; of high ones only the upper part."""
        page.evaluate("scrollTo(0, 0); document.fonts.ready")
        boxes = [box for each in shown if (box := each.bounding_box())]
        assert len(boxes) == len(shown), name
        picture = lighter(
            page.screenshot(
                full_page=True,
                clip=around(boxes, margin, at_most),
                animations="disabled",
                caret="hide",
            )
        )
        (FOLDER / f"{name}.png").write_bytes(picture)
        print(f"{len(picture) / 1000:6.1f} kB  {name}")


def around(boxes: list[FloatRect], margin: float, at_most: float) -> FloatRect:
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = min(max(box["y"] + box["height"] for box in boxes), top + at_most)
    return {
        "x": left - margin,
        "y": top - margin,
        "width": right - left + 2 * margin,
        "height": bottom - top + 2 * margin,
    }


def lighter(png: bytes) -> bytes:
    """The same picture in half the bytes: the browser is in a hurry when it packs one.

    Its rows come as differences to their neighbours, which suits photographs; letters on paper
    pack better as they are.
    """
    chunks = dict(chunks_of(png))
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 2), "red, green and blue, a byte each"
    packed, size = zlib.decompress(chunks[b"IDAT"]), 3 * width
    above, plain = bytearray(size), bytearray()
    for start in range(0, height * (size + 1), size + 1):
        row = bytearray(packed[start + 1 : start + 1 + size])
        for place in range(size):
            left, over = (row[place - 3], above[place - 3]) if place > 2 else (0, 0)
            row[place] = (row[place] + guess(packed[start], left, above[place], over)) % 256
        plain += b"\0" + row
        above = row
    chunks[b"IDAT"] = zlib.compress(plain, 9)
    kinds = (b"IHDR", b"IDAT", b"IEND")
    return png[:8] + b"".join(chunk(kind, chunks[kind]) for kind in kinds)


def guess(filter: int, left: int, above: int, over: int) -> int:
    """What a row that was filtered so was subtracted from (PNG, «Filtering»)."""
    if filter == 4:
        off = left + above - over
        return min((left, above, over), key=lambda each: abs(off - each))
    return (0, left, above, (left + above) // 2)[filter]


def chunks_of(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, pixels = 8, b""
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        pixels += content if kind == b"IDAT" else b""
        yield kind, pixels if kind == b"IDAT" else content
        at += 12 + size


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def known(email: str) -> Person:
    with db.reading():
        found = account.find_by_email(email)
    assert found, "sample_people has them"
    return Person(found, SECRET)


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


# The pictures, in the order in which things happen


def responsible(studio: Studio) -> None:
    with db.reading():
        found = organisation.find(FIRST)
    assert found, "the samples are there"
    person = found.details
    link = studio.post.link(person.email)
    page = studio.window(link)
    studio.shoot(page, "responsible-page", section(page, "Данные ответственного лица"))
    page.goto(f"{page.url}/report")
    page.get_by_test_id("wrong-position").check()
    page.get_by_test_id("new-position").fill("Начальник автоколонны")
    row = page.locator(".row", has=page.get_by_test_id("wrong-position"))
    before = page.locator(".row", has=page.get_by_test_id("wrong-patronymic"))
    studio.shoot(page, "responsible-report", before, row, margin=0)
    page.goto(link)
    press(page, "confirm-phone")
    fill(page, code="407")
    studio.post.deliver()
    page.get_by_text("Отправили на номер").wait_for()
    studio.shoot(page, "responsible-code", page.get_by_role("dialog"), margin=-3)
    fill(page, code=studio.post.code(person.phone))
    page.get_by_test_id("phone-status").get_by_text("подтверждён ").wait_for()
    request(studio)
    press(page, "confirm-email")
    page.get_by_test_id("email-sent").wait_for()
    second = page.context.new_page()
    second.goto(studio.post.link(person.email))
    studio.shoot(second, "responsible-email", second.get_by_test_id("email-page"))
    press(second, "confirm-address")
    page.get_by_test_id("completed").wait_for()
    studio.shoot(page, "responsible-done", section(page, "Ход подтверждения"))
    outside = studio.window(link, at=OUTSIDE)
    studio.shoot(outside, "responsible-outside", outside.get_by_test_id("outside"))


def request(studio: Studio) -> None:
    page = studio.signed_in(ADMINISTRATOR, f"/organisations/{FIRST}")
    studio.shoot(page, "administrator-request", section(page, "Подтверждение данных"))


def administrator(studio: Studio) -> None:
    page = studio.signed_in(ADMINISTRATOR, f"/organisations/{FIRST}")
    studio.shoot(page, "administrator-steps", page.get_by_test_id("steps"))
    page.goto(f"/organisations/{REPORTED}/corrections")
    studio.shoot(page, "administrator-corrections", page.locator("#take"))
    page.goto(f"/organisations/{OPEN}/edit")
    fill(page, phone="+7 912 555-01-99")
    press(page, "to-compare")
    page.get_by_test_id("apply").wait_for()
    page.set_viewport_size({"width": LISTS, "height": 900})
    studio.shoot(page, "administrator-draft", *page.locator(".desk > *").all())
    page.goto("/campaigns/new")
    press(page, "choose-found")
    shown = section(page, "Кто получит письмо, а кто нет")
    page.set_viewport_size({"width": COLUMNS, "height": 900})
    studio.shoot(page, "administrator-many", shown)
    page = studio.signed_in(ADMINISTRATOR, "/organisations", width=LIST, scale=0.8)
    tabs = page.get_by_role("navigation", name="Статус")
    studio.shoot(page, "administrator-list", page.get_by_role("search"), tabs, *rows(page, 5))
    page.goto("/people")
    studio.shoot(page, "administrator-people", *rows(page, 4))


def rows(page: Page, most: int) -> list[Locator]:
    """The head of a table, and its first lines."""
    return page.get_by_role("row").all()[: most + 1]


def operations(studio: Studio) -> None:
    for name, email in (("open", WORKER), ("closed", BLOCKED)):
        page = studio.signed_in(email, "/operations", width=LISTS, scale=SMALLER)
        studio.shoot(page, f"operations-{name}", *page.locator("#operations > *").all())


def specialist(studio: Studio) -> None:
    lists = studio.signed_in(SPECIALIST, "/verifications", width=LISTS, scale=SMALLER)
    studio.shoot(lists, "specialist-queue", lists.locator("#queue"))
    with db.reading():
        found = organisation.find(FIRST)
    assert found, "the samples are there"
    undelivered("confirmation", to=found.details.email, organisation_id=FIRST)
    undelivered("completed", Reason.REFUSED, to=found.administrator_email, organisation_id=FIRST)
    lists.goto("/deliveries")
    studio.shoot(lists, "specialist-deliveries", lists.locator(".deliveries"))
    page = studio.signed_in(SPECIALIST, "/verifications")
    page.get_by_test_id("waiting").filter(has_text="свободна").get_by_role("link").click()
    press(page, "take")
    page.get_by_test_id("remark-position").fill("Не та, что в приказе.")
    studio.shoot(page, "specialist-decision", section(page, "Решение"))
    studio.shoot(page, "specialist-remark", section(page, "Данные ответственного лица"))
    studio.shoot(page, "specialist-evidence", section(page, "Кто и что подтвердил"))
    page.goto("/support/cases")
    page.get_by_test_id("case").filter(has_text="специалист спрашивает").get_by_role("link").click()
    questions = page.get_by_role("region", name="Вопросы: ")
    studio.shoot(page, "specialist-case", section(page, "Диагностика компьютера"), questions)


def lost_device(studio: Studio) -> None:
    page = studio.asked_for_factor(BLOCKED)
    studio.shoot(page, "factor", page.locator(".sheet.words"))
    page = studio.asked_for_factor(LOST.format("opened"))
    page.goto("/recovery")
    studio.shoot(page, "lost-call", page.get_by_test_id("turn"))
    page.goto("/diagnostics")
    press(page, "start-diagnostics")
    studio.shoot(page, "lost-number", section(page, "Номер диагностики"))
    page = studio.asked_for_factor(LOST.format("reset"))
    studio.shoot(page, "lost-finish", page.get_by_test_id("turn"))


SCENES: tuple[Callable[[Studio], None], ...] = (
    responsible,
    administrator,
    operations,
    specialist,
    lost_device,
)


@contextmanager
def studio() -> Iterator[Studio]:
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        settings = {
            "PORTAL_DATABASE_URL": f"sqlite:///{place}/portal.db",
            "PORTAL_SECURE_NETWORKS": "10.20.0.0/16,127.0.0.0/8",  # of windows, and of the samples
            "PORTAL_TRUSTED_PROXIES": "127.0.0.1/32",
            "PORTAL_ALLOW": "proxies-inside",  # this computer is both
            "PORTAL_OPERATIONS_URL": "https://izkt.example",
        }
        app = create_app(config.load(ENVIRONMENT | settings))
        stack.callback(db.dispose)
        stack.enter_context(app.app_context())
        schema.upgrade()
        with app.test_request_context():
            assert embedded.seed()
        post = Post()
        post.deliver()
        chromium = launch(stack.enter_context(sync_playwright()))
        stack.callback(chromium.close)
        yield Studio(chromium, stack.enter_context(served(app)), post, stack)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    with studio() as made:
        for scene in SCENES:
            scene(made)


if __name__ == "__main__":
    main()
