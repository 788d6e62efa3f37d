"""A person's window: a page of a real browser, and everything that goes wrong on it."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

WIDE = (1366, 768)
NARROW = (360, 740)
INSIDE = "10.20.4.17"
OUTSIDE = "203.0.113.9"
# From its first word on: «не подтверждён» has the rest, too.
CONFIRMED = re.compile(r"^подтверждён \d\d\.\d\d\.\d{4} в \d\d:\d\d мск$")

TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  console.error(`policy: ${violatedDirective} ${blockedURI}`));
"""
REFUSED = re.compile(r"Failed to load resource: .*(?:status of (\d+)|net::(\w+))")
GONE_ELSEWHERE = "net::ERR_ABORTED"  # the person left before the answer came
RULES = {"target-size": {"enabled": True}}  # WCAG 2.2 AA, which axe leaves out unless asked
RULES_OF_COLOUR = ["color-contrast", "link-in-text-block"]
RUN_AXE = "how => axe.run(how).then(({ violations }) => violations)"  # all it found is very much
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


class Watch:
    """What went wrong in the windows of a test, but for the answers that it means to get."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.meant: set[str] = set()
        self.came: set[str] = set()
        self.tolerated: list[str] = []

    def means(self, *answers: int | str) -> None:
        """Expect answers such as 422, or failures such as ERR_CONNECTION_REFUSED."""
        self.meant |= {str(each) for each in answers}

    def tolerates(self, words: str) -> None:
        """Let pass what a library says on the console about a failure that is meant."""
        self.tolerated.append(words)

    def over(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        context.on("requestfailed", self._fail)

    def verdict(self) -> list[str]:
        """All problems, a meant answer that never came among them."""
        missing = [f"never came: {each}" for each in sorted(self.meant - self.came)]
        return self.problems + missing

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        refused = REFUSED.match(message.text)
        answer = refused and (refused[1] or refused[2])
        if answer:
            self.came.add(answer)
        if answer not in self.meant and not any(map(message.text.count, self.tolerated)):
            self.problems.append(f"{message.type}: {message.text}")

    def _fail(self, request: Request) -> None:
        failure = request.failure or ""
        if failure != GONE_ELSEWHERE and failure.removeprefix("net::") not in self.meant:
            self.problems.append(f"failed: {request.method} {failure}")


def open_window(
    chromium: Chromium,
    url: str,
    watch: Watch,
    *,
    address: str = "",
    scripts: bool = True,
    size: tuple[int, int] = WIDE,
) -> Page:
    """A window of a browser of its own, coming from `address` if the portal trusts us to say so."""
    context = chromium.new_context(
        base_url=url,
        java_script_enabled=scripts,
        viewport={"width": size[0], "height": size[1]},
        extra_http_headers={"X-Forwarded-For": address} if address else {},
        locale="ru-RU",
        reduced_motion="reduce",
    )
    watch.over(context)
    context.add_init_script(TELL_VIOLATIONS)
    return context.new_page()


def violations(page: Page, *, only_colours: bool = False) -> list[str]:
    """What axe has to say against a page, or against its colours alone."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{AXE}; 0")
    how = {"runOnly": RULES_OF_COLOUR} if only_colours else {"rules": RULES}
    found: list[dict[str, Any]] = page.evaluate(RUN_AXE, how | {"resultTypes": ["violations"]})
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
