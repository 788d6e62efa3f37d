"""What a browser calls itself, said so that a specialist and the person understand it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import agents

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chrome 156, Windows"),
        (f"{CHROME} Edg/156.0.0.0", "Edge 156, Windows"),
        (CHROME.replace("Safari", "YaBrowser/26.3.0.0 Safari"), "Yandex Browser 26, Windows"),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox 140, Linux",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.1 Safari/605.1.15",
            "Safari 26, macOS",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "Internet Explorer 11, Windows",
        ),
        ("curl/8.5.0", "curl 8"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Windows"),
        ("portal", ""),
        ("", ""),
    ],
)
def test_browser_and_system_are_told_in_words(agent: str, words: str) -> None:
    assert agents.describe(agent) == words


@given(st.text(max_size=5000))
def test_anything_may_call_itself_a_browser(agent: str) -> None:
    assert len(agents.describe(agent)) <= agents.LONGEST + len("Internet Explorer, ")


def test_the_package_with_the_names_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, portal.cli, portal.door; sys.exit('ua_parser' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
