"""The host of the portal's address stands in every SMS, so not every host will do."""

from __future__ import annotations

import pytest

from portal import config, readers
from tests.conftest import ENVIRONMENT

ELSEWHERE = {"PORTAL_MAIL_URL": "smtp://mail.example", "PORTAL_SMS_URL": "https://sms.example"}


def load(base_url: str) -> config.Settings:
    return config.load(ENVIRONMENT | ELSEWHERE | {"PORTAL_BASE_URL": base_url})


def of_length(length: int) -> str:
    return ("portal." * 40)[: length - 3] + ".ru"


def test_the_longest_host_that_fits_is_taken() -> None:
    host = of_length(readers.LONGEST_HOST)
    assert load(f"https://{host}:8443/").host == host


@pytest.mark.parametrize("length", [readers.LONGEST_HOST + 1, 200])
def test_a_host_too_long_for_an_sms_stops_the_start(length: int) -> None:
    with pytest.raises(config.BadSettingError, match=r"^PORTAL_BASE_URL has a host of more than"):
        load(f"https://{of_length(length)}")


def test_a_host_in_russian_stops_the_start() -> None:
    with pytest.raises(config.BadSettingError, match=r"^PORTAL_BASE_URL has a host that is not"):
        load("https://портал.рф")
    assert load("https://xn--80avxcb.xn--p1ai").host == "xn--80avxcb.xn--p1ai"
