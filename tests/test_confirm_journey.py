"""The way of the responsible person, walked with scripts off (product.md, step by step)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import ADMINISTRATOR, LOMOVA

if TYPE_CHECKING:
    from tests.browser import Browser
    from tests.conftest import Post

PHONE = "Подтвердить номер телефона"
EMAIL = "Подтвердить email"


def test_both_contacts_are_confirmed(browser: Browser, post: Post, asked: str) -> None:
    browser.open(post.link())
    assert browser.page.heading == LOMOVA.short_name
    browser.press(PHONE)
    browser.press("Подтвердить", code=post.code())
    assert "подтверждён" in browser.named("phone-status")
    browser.press(EMAIL)
    browser.open(post.link()).press("Подтвердить адрес")
    assert "администратору отправлено письмо" in browser
    browser.follow("К данным организации")
    assert "Готово, вы всё подтвердили" in browser
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == ["Проверка завершена"]
