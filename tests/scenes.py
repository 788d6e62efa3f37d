"""How pages are looked at: in both lights, wide and narrow, by axe and by eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from playwright.sync_api import expect

from tests.window import NARROW, WIDE, scrolls_sideways, violations

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from playwright.sync_api import Page

LIGHTS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = {"wide": WIDE, "narrow": NARROW}

Stage = TypeVar("Stage")


class Scenes(Generic[Stage]):
    """The pages and states of a file of tests. `scene("enter")` above a function adds one.

    The names are of what has to be in sight on a wide screen.
    """

    def __init__(self) -> None:
        self.made: dict[str, tuple[Callable[[Stage], Page], tuple[str, ...]]] = {}

    def __call__(
        self, *needed: str
    ) -> Callable[[Callable[[Stage], Page]], Callable[[Stage], Page]]:
        def add(make: Callable[[Stage], Page]) -> Callable[[Stage], Page]:
            self.made[make.__name__.replace("_", "-")] = make, needed
            return make

        return add

    def look(
        self, stage: Stage, name: str, config: pytest.Config, *, in_full: bool, scripts: bool = True
    ) -> None:
        """Make a page and look at it. With `--screenshots` each look leaves a picture instead.

        Of a page that is not shown in full there is one picture, wide and light. In the dark only
        the colours are looked at, and those of one width: nothing else differs.
        """
        make, needed = self.made[name]
        found = make(stage)
        folder = config.getoption("--screenshots")
        for each in needed:
            expect(found.get_by_test_id(each).first).to_be_in_viewport(ratio=1)
        for size, (width, height) in SIZES.items():
            found.set_viewport_size({"width": width, "height": height})
            assert not scrolls_sideways(found), size
            for light in LIGHTS:
                found.emulate_media(color_scheme=light)
                if folder and not (in_full or (size, light) == ("wide", "light")):
                    continue
                if folder:
                    file = Path(folder, f"{name}-{light}-{size}.png")
                    found.screenshot(path=file, full_page=True, animations="disabled", caret="hide")
                elif scripts and (size, light) != ("narrow", "dark"):  # axe is one
                    assert not violations(found, only_colours=light == "dark"), f"{size}, {light}"
