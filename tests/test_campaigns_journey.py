"""Many at once, on the pages: choosing, the draft, the way to the end, and what bad input gets."""

from __future__ import annotations

import csv
import re
import tracemalloc
from functools import partial
from html import unescape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from portal import account, campaign, clock, door, importing, organisation
from portal.account import Role
from portal.campaign.tables import campaign_items
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.importing import Refusal, Row, UnreadableFileError
from portal.organisation import Status
from tests.conftest import LOMOVA
from tests.loops import run
from tests.lost_device import at_once, press_twice, tab
from tests.people import Person, act, cookie_of, enrol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from flask import Flask
    from werkzeug.test import TestResponse

    from tests.browser import Browser
    from tests.conftest import Post, Time

FOUND, TYPED, FILE = "Выбрать найденные", "Проверить список", "Проверить файл"
START, PAUSE, RESUME, CANCEL = "Запустить", "Пауза", "Продолжить", "Отменить"
STALE = "Страница устарела"
NOT_ANY_MORE = "Этого уже не сделать"
OTHER = "ORG-9"


@pytest.fixture
def owner(keep: Callable[..., None]) -> Person:
    """An administrator of three organisations; a fourth one is somebody else's."""
    keep("ORG-1")
    keep("ORG-2", short_name="ООО «Волжские перевозки»")
    keep("ORG-3")
    keep(OTHER)
    person = enrol("sokolova@sever-trakt.example", Role.ADMINISTRATOR, "ORG-1", name="Соколова А.")
    for id in ("ORG-2", "ORG-3"):
        act(account.join, person.account, id, "tests")
    return person


@pytest.fixture
def desk(owner: Person, browser: Browser) -> Browser:
    return owner.come_in(browser)


def outcome(browser: Browser) -> list[str]:
    return browser.every("outcome")


def choose(browser: Browser, *ids: str) -> Browser:
    return browser.open("/campaigns/new").press(TYPED, list="\n".join(ids))


def upload(browser: Browser, content: bytes) -> Browser:
    """Choose a file and press its button."""
    fields = browser.open("/campaigns/new").page.form_of(FILE).fields
    answer = send_file(browser, content, **fields)
    return browser.open(answer.location) if answer.status_code == 303 else browser._see(answer)


def send_file(browser: Browser, content: bytes, **fields: str) -> TestResponse:
    data = fields | {"file": (BytesIO(content), "ids.csv")}
    answer = browser.ask("post", "/campaigns", data=data, follow_redirects=False)
    answer.request.environ["wsgi.input"].close()  # the test client forgets it
    return answer


def send_ids(browser: Browser, *ids: str) -> Browser:
    """The boxes that were ticked on another page."""
    token = browser.open("/campaigns/new").page.form_of(FOUND).fields["csrf_token"]
    data = {"csrf_token": token, "ids": list(ids)}
    return browser._see(browser.ask("post", "/campaigns", data=data))


def lines() -> list[tuple[str | None, str]]:
    with db.reading():
        rows = db.all(
            select(campaign_items.c.organisation_id, campaign_items.c.outcome).order_by(
                campaign_items.c.place
            )
        )
    return [(row.organisation_id, row.outcome) for row in rows]


def requests() -> int:
    with db.reading():
        return len(db.all(select(confirmations.c.id)))


# Choosing


def test_a_list_is_walked_from_the_first_choice_to_the_last_letter(
    desk: Browser, post: Post, time: Time
) -> None:
    desk.open("/campaigns").follow("Запросить у многих")
    desk.press(TYPED, list="ORG-1\nORG-2\n\nORG-1\nNOWHERE\n")
    assert desk.path.startswith("/campaigns/")
    assert desk.named("standing") == "не запущен"
    assert outcome(desk) == [
        "получат письмо 2",
        "уже есть в этом списке строка повторяет более раннюю 1",
        "такой организации у вас нет проверьте ID: он пишется так же, как в списке организаций 1",
    ]
    assert "ООО «Волжские перевозки»" in desk.every("item")[1]
    assert requests() == 0
    desk.press(START)
    assert (desk.status, desk.named("standing")) == (200, "письма уходят")
    assert desk.named("progress") == "0 из 2"
    campaign.continue_due()
    desk.open(desk.path)
    assert desk.named("progress") == "1 из 2"
    assert desk.every("item-letter") == ["отправляем"]
    post.deliver()
    time.passes(seconds=1)
    campaign.continue_due()
    desk.open(desk.path)
    assert (desk.named("standing"), desk.named("progress")) == ("выполнен", "2 из 2")
    assert desk.every("item-letter") == ["передано почтовому серверу", "отправляем"]
    assert len(post.letters(LOMOVA.email)) == 2
    desk.open("/campaigns")
    assert "выполнен" in desk.named("campaign")


def test_all_that_a_search_finds_are_chosen_with_its_words_and_status(
    desk: Browser, owner: Person
) -> None:
    with db.writing():
        organisation.status.move("ORG-3", Status.UNVERIFIED, Status.SUBMITTED, "tests")
        db.commit()
    desk.open("/campaigns/new?typed=волжские&status=unverified")
    assert desk.page.form_of(FOUND).fields["typed"] == "волжские"
    assert desk.page.form_of(FOUND).fields["status"] == "unverified"
    desk.press(FOUND)
    assert lines() == [("ORG-2", "waiting")]
    desk.open("/campaigns/new").press(FOUND, status="submitted")
    assert [item for item in desk.every("item") if "ORG-3" in item]
    desk.open("/campaigns/new").press(FOUND)
    assert outcome(desk) == ["получат письмо 3"], "never those of others"


def test_those_ticked_on_another_page_are_chosen(desk: Browser) -> None:
    send_ids(desk, "ORG-2", "ORG-3", OTHER)
    assert lines() == [("ORG-2", "waiting"), ("ORG-3", "waiting"), (None, "unknown")]
    assert send_ids(desk).status == 422
    assert "Отметьте в списке хотя бы одну организацию." in desk.named("error")


def test_ids_are_pasted_however_they_were_written_down(desk: Browser) -> None:
    desk.open("/campaigns/new").press(TYPED, list="ORG-1, org-2;ORG-3\tORG-1\n\norg-9,")
    assert lines() == [
        *(("ORG-1", "waiting"), ("ORG-2", "waiting"), ("ORG-3", "waiting")),
        *(("ORG-1", "twice"), (None, "unknown")),
    ]


def test_the_lists_say_how_their_organisations_were_chosen(desk: Browser) -> None:
    send_ids(desk, "ORG-1")
    upload(desk, b"id\r\norg-1\r\n")
    choose(desk, "ORG-1")
    desk.open("/campaigns/new").press(FOUND, typed="ORG-1")
    assert "Как выбраны: по поиску. Строк: 1." in desk
    said = " ".join(desk.open("/campaigns").every("campaign"))
    assert all(way in said for way in ("отмечены", "из файла", "по списку ID", "по поиску"))


def test_a_list_that_never_started_speaks_of_no_letters(desk: Browser) -> None:
    choose(desk, "ORG-1").press(CANCEL)
    assert desk.named("standing") == "отменён"
    assert desk.named("turn") == "Список отменён до запуска: по нему ничего не отправлено."
    assert not desk.has("progress")
    assert len(desk.every("item")) == 1
    assert desk.open("/campaigns").named("campaign").endswith("отменён 1 — —")


def test_another_s_organisation_looks_as_one_that_is_nowhere(desk: Browser) -> None:
    choose(desk, OTHER, "ORG-8")
    desk.open(f"{desk.path}?outcome=unknown")
    first, second = desk.every("item")
    assert first.replace(OTHER, "") == second.replace("ORG-8", "").replace("2", "1")


@pytest.mark.parametrize(
    ("button", "answers", "field", "words"),
    [
        (TYPED, {"list": " \n\n "}, "list", "Впишите хотя бы один ID."),
        (FOUND, {"typed": "нет такой"}, "typed", "ничего не нашлось"),
        (FOUND, {"typed": "%", "status": "verified"}, "typed", "ничего не нашлось"),
        (FILE, {}, "file", "Выберите файл"),
    ],
)
def test_choosing_nobody_is_said_beside_the_field(
    desk: Browser, button: str, answers: dict[str, str], field: str, words: str
) -> None:
    desk.open("/campaigns/new").press(button, **answers)
    assert desk.status == 422
    assert words in desk.fault(field)
    assert desk.page.form_of(button).fields.get("typed") == answers.get(
        "typed", "" if button is FOUND else None
    )
    assert not lines()


def test_a_form_that_is_too_old_changes_nothing_and_keeps_what_was_typed(desk: Browser) -> None:
    form = {"csrf_token": "old", "way": "typed", "list": "ORG-1\r\nORG-2"}
    answer = desk._see(desk.ask("post", "/campaigns", data=form))
    assert (answer.status, STALE in answer) == (422, True)
    assert answer.page.form_of(TYPED).fields["list"] == "ORG-1 ORG-2"
    form = {"csrf_token": "old", "way": "file"}
    desk._see(desk.ask("post", "/campaigns", data=form))
    assert "Выберите файл ещё раз" in desk.named("error")
    assert not lines()


# Files


BARE = "ORG-1\r\nORG-2\r\n"
WIDE = 'Имя;ID;Прочее\r\n"ООО «Свет»";ORG-1;"две\r\nстроки"\r\nООО;ORG-2;x\r\n'


@pytest.mark.parametrize(
    "content",
    [
        BARE.encode(),
        BARE.encode("utf-8-sig"),
        ("id\r\n" + BARE).encode("utf-8-sig"),
        ("ID\n" + BARE.replace("\r", "")).encode(),
        WIDE.encode(),
        WIDE.encode("cp1251"),
        WIDE.replace(";", ",").encode("cp1251"),
        BARE.strip().encode(),
    ],
)
def test_a_file_is_read_however_it_was_saved(desk: Browser, content: bytes) -> None:
    upload(desk, content)
    assert lines() == [("ORG-1", "waiting"), ("ORG-2", "waiting")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Выберите файл"),
        (b"id\r\n", "Выберите файл"),
        (b"\r\n\r\n", "Выберите файл"),
        (b"inn;kpp\r\n1;2\r\n", "Нет столбцов: id."),
        (b"id;id\r\n1;2\r\n", "Столбец назван дважды."),
        ("id\r\nORG-1".encode("utf-16"), "Это не CSV"),
        (b"PK\x03\x04\x00\x00", "В Excel выберите «Сохранить как» и «CSV»."),
        (b'"id\r\nORG-1\r\n', "не закрыты кавычки"),
        (b"x\n" * 100_002, "Разделите их"),
        (b"id\r" + b"x\r" * 100_001, "Разделите их"),
    ],
)
def test_a_file_that_is_none_is_said_beside_the_field(
    desk: Browser, content: bytes, words: str
) -> None:
    upload(desk, content)
    assert desk.status == 422
    assert words in desk.fault("file")
    assert not lines()


def test_each_bad_line_of_a_file_is_a_line_of_the_report_and_the_good_ones_are_kept(
    desk: Browser,
) -> None:
    good = 'id;имя\r\nORG-1;Имя\r\nORG-2;"обрыв\r\nORG-3;Имя\r\nORG-3\r\n;Имя\r\n'.encode()
    upload(desk, good + b"ORG-\xff;x\r\n" + "ORG-1;ещё\r\n".encode())
    assert lines() == [
        *(("ORG-1", "waiting"), (None, "unreadable"), ("ORG-3", "waiting"), (None, "unreadable")),
        *((None, "unreadable"), (None, "unreadable"), ("ORG-1", "twice")),
    ]
    desk.open(f"{desk.path}?outcome=unreadable")
    assert [item.rpartition(" ")[2] for item in desk.every("item")] == ["3", "5", "6", "7"]


def test_a_file_cut_in_the_middle_keeps_what_was_whole(desk: Browser) -> None:
    upload(desk, 'id;имя\r\nORG-1;Имя\r\nORG-2;"Им'.encode())
    assert lines() == [("ORG-1", "waiting"), (None, "unreadable")]


def test_a_file_of_a_hundred_thousand_lines_is_taken(desk: Browser, owner: Person) -> None:
    many = b"".join(b"NOWHERE-%06d\r\n" % number for number in range(99_996))
    upload(desk, b"id\r\nORG-1\r\n" + many + b"ORG-2\r\nORG-1\r\n\x98\xff\r\n")
    assert desk.status == 200
    with db.reading():
        (made,) = campaign.campaigns_of(owner.account.id, most=2)
        counts = {str(key): count for key, count in campaign.counts(made).items()}
    assert counts == {"waiting": 2, "unknown": 99_996, "twice": 1, "unreadable": 1}
    assert outcome(desk)[0] == "получат письмо 2"


class Wire:
    """A file on its way to the door, made while it is sent."""

    client, server, scheme, http_version = "10.20.4.17:5000", "127.0.0.1:8000", "http", "1.1"
    method, path, query_string = "POST", "/campaigns", ""

    def __init__(self, browser: Browser, parts: list[bytes], times: int) -> None:
        token = browser.open("/campaigns/new").page.form_of(FILE).fields["csrf_token"]
        head = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("csrf_token", token), ("way", "file"))
        )
        head += '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        self._parts = [head.encode() + b"id;text\r\n", *parts * times, b"\r\n--x--\r\n"]
        self.headers = {
            "content-type": "multipart/form-data; boundary=x",
            "content-length": str(sum(map(len, self._parts))),
            "cookie": f"session={cookie_of(browser)}",
        }
        self.answer: tuple[int, dict[str, str], bytes] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = status, dict(headers), body


def test_a_large_file_comes_through_the_door_and_is_never_held_in_memory(
    app: Flask, desk: Browser
) -> None:
    part = b"ORG-1;" + b"x" * 7000 + b"\r\n"
    wire = Wire(desk, [part], 1000)
    opened = door.Door(app, 1)
    tracemalloc.start()
    run(opened.__rsgi__(wire, wire))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert wire.answer
    assert wire.answer[0] == 303
    assert int(wire.headers["content-length"]) > 7_000_000
    assert peak < 4_000_000
    desk.open(wire.answer[1]["Location"])
    assert outcome(desk)[0] == "получат письмо 1"
    assert "Строк: 1000." in desk.text


@pytest.mark.parametrize("who", ["a stranger", "a forged cookie"])
def test_the_door_hears_no_large_file_of_strangers(app: Flask, desk: Browser, who: str) -> None:
    wire = Wire(desk, [b"x" * 60_000], 100)
    # The last sign alone may say nothing; the one in the middle of the seal does.
    cookie = wire.headers["cookie"]
    forged = cookie[:-9] + ("A" if cookie[-9] != "A" else "B") + cookie[-8:]
    wire.headers["cookie"] = "" if who == "a stranger" else forged
    run(door.Door(app, 1).__rsgi__(wire, wire))
    assert wire.answer
    assert wire.answer[0] == 413
    assert not lines()


@pytest.mark.parametrize("size", [70_000, 9_000_000])
def test_only_an_administrator_who_is_signed_in_may_send_much(
    app: Flask, owner: Person, new_browser: Callable[..., Browser], size: int
) -> None:
    specialist = enrol("orlov@izkt.example", Role.SPECIALIST)
    half, other, outside = new_browser(), new_browser(), new_browser()
    owner.enter_password(half)
    specialist.sign_in(other)
    owner.sign_in(outside)
    outside.address = "203.0.113.9"
    for browser in (new_browser(), half, other, outside):
        assert send_file(browser, b"x" * size, way="file").status_code == 413
    assert not lines()


def test_what_is_too_much_for_an_administrator_too_is_said_in_words(desk: Browser) -> None:
    upload(desk, b"x" * 9_000_000)
    assert desk.status == 413
    assert "не больше 8 МБ" in desk.text
    answer = desk.ask("post", "/campaigns", data={f"field{number}": "" for number in range(2000)})
    assert answer.status_code == 413
    desk.open("/campaigns/new").press(TYPED, list="ORG-1\n" * 10_000)
    assert desk.status == 200, "a list of IDs may be long, too"


def test_one_column_is_read_whatever_stands_beside_it(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("a;id;b\n1;X;2\n;Y;\n3;Z\n", encoding="utf-8")
    rows = list(importing.read_column(path, "id"))
    assert [row.values["id"] if isinstance(row, Row) else row.line for row in rows] == ["X", "Y", 4]
    assert isinstance(rows[2], Refusal)
    with pytest.raises(UnreadableFileError):
        list(importing.read_column(path, "inn"))


# The way to the end


def test_a_press_that_comes_too_late_is_told_what_is_true(desk: Browser, time: Time) -> None:
    choose(desk, "ORG-1", "ORG-2")
    press_twice(desk, START)
    assert (desk.status, desk.named("standing")) == (409, "письма уходят")
    assert NOT_ANY_MORE in desk.named("error")
    press_twice(desk, PAUSE)
    assert (desk.status, desk.named("standing")) == (409, "на паузе")
    press_twice(desk, RESUME)
    assert (desk.status, desk.named("standing")) == (409, "письма уходят")
    campaign.continue_due()
    press_twice(desk, CANCEL)
    assert (desk.status, desk.named("standing")) == (409, "отменён")
    time.passes(minutes=1)
    campaign.continue_due()
    assert requests() == 1
    desk.open(desk.path.removesuffix("/cancel"))
    assert "не отправлены: список отменён 1" in outcome(desk)
    assert not {START, PAUSE, RESUME, CANCEL} & desk.page.buttons.keys()


@pytest.mark.parametrize("step", ["start", "pause", "resume", "cancel"])
def test_a_step_of_an_old_page_is_asked_for_once_more(desk: Browser, step: str) -> None:
    choose(desk, "ORG-1")
    answer = desk._see(desk.ask("post", f"{desk.path}/{step}", data={"csrf_token": "old"}))
    assert answer.status == 422
    assert STALE in answer.named("error")
    assert answer.named("standing") == "не запущен"


def test_a_list_of_nobody_has_nothing_to_start(desk: Browser) -> None:
    choose(desk, OTHER)
    assert START not in desk.page.buttons
    desk.send(f"{desk.path}/start")
    assert (desk.status, desk.named("standing")) == (409, "не запущен")
    assert "Письмо не получит никто. Если спросить нужно" in desk.named("error")


def test_open_requests_are_renewed_with_a_tick(
    desk: Browser, ask: Callable[..., str | None], time: Time
) -> None:
    ask("ORG-1")
    time.passes(minutes=2)
    choose(desk, "ORG-1", "ORG-2")
    draft = desk.path
    assert (
        "прежний запрос ещё действует ответственное лицо ещё может ответить на него 1"
        in outcome(desk)
    )
    assert "ещё 1" in desk.text
    desk.send(f"{draft}/start", renews="y")
    assert desk.named("progress") == "0 из 2"


def test_where_all_were_asked_already_the_one_button_asks_them_again(
    desk: Browser, ask: Callable[..., str | None], time: Time
) -> None:
    ask("ORG-1")
    time.passes(minutes=2)
    choose(desk, "ORG-1")
    assert "прежние ссылки перестанут действовать" in desk.named("turn")
    assert len(desk.every("item")) == 1, "they are shown without asking"
    desk.press("Спросить снова")
    assert desk.named("progress") == "0 из 1"


def test_the_page_looks_again_only_while_something_goes_on(
    desk: Browser, post: Post, time: Time
) -> None:
    choose(desk, "ORG-1", "ORG-2")
    here = desk.path
    assert "hx-get" not in desk.response.text
    desk.press(START)
    assert "every 2s" in desk.response.text
    assert desk.ask("get", looks_at(desk)).status_code == 204
    campaign.continue_due()
    answer = desk.ask(
        "get", looks_at(desk), headers={"HX-Request": "true", "HX-Target": "div#campaign"}
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="campaign"')
    time.passes(seconds=1)
    campaign.continue_due()
    desk.open(here)
    assert desk.named("standing") == "выполнен"
    assert desk.every("item-letter") == ["отправляем", "отправляем"]
    assert desk.ask("get", looks_at(desk)).status_code == 204
    post.deliver()
    answer = desk.ask("get", looks_at(desk), headers={"HX-Request": "true"})
    assert answer.status_code == 200, "the last letters, too, have left"
    assert "hx-get" not in answer.text


def looks_at(browser: Browser) -> str:
    """Where the page looks whether something is new."""
    found = re.search('hx-get="([^"]+)"', browser.response.text)
    assert found
    return unescape(found[1])


def test_a_list_leads_to_what_its_owner_did(desk: Browser) -> None:
    choose(desk, "ORG-1").press(START)
    desk.follow("Мой журнал")
    assert desk.path == "/journal"
    assert "запрос" in desk.every("line")[0].lower()


def test_lines_come_page_by_page(desk: Browser) -> None:
    choose(desk, *(f"NOWHERE-{number}" for number in range(60)))
    desk.open(f"{desk.path}?outcome=unknown")
    assert len(desk.every("item")) == 50
    desk.follow("Дальше")
    assert len(desk.every("item")) == 10
    desk.follow("К началу")
    assert len(desk.every("item")) == 50
    for odd in ("?outcome=x", "?after=x", f"?outcome=unknown&after={10**30}", "?after=-1"):
        assert desk.open(desk.path + odd).status == 200


def test_of_many_presses_at_once_thirty_lists_an_hour_are_made(
    desk: Browser, owner: Person
) -> None:
    for _each in range(29):
        act(campaign.begin, owner.account, campaign.Way.TYPED)
    tabs = [tab(desk).open("/campaigns/new") for _each in range(4)]
    at_once(*(partial(each.press, TYPED, list="ORG-1") for each in tabs))
    assert sorted(each.status for each in tabs) == [200, 429, 429, 429]
    assert "Следующий можно выбрать" in next(each for each in tabs if each.status == 429)


def test_older_lists_are_on_the_next_page(desk: Browser, owner: Person, time: Time) -> None:
    for _each in range(52):
        id = act(campaign.begin, owner.account, campaign.Way.TYPED)
        act(campaign.add, id, owner.account, [campaign.Line(1, "ORG-1")])
        act(campaign.offer, id)
        time.passes(minutes=3)
        desk.open("/campaigns")  # who does something stays signed in
    assert len(desk.every("campaign")) == 50
    desk.follow("Дальше")
    assert len(desk.every("campaign")) == 2
    assert desk.open("/campaigns?before=" + "A" * 22).status == 404


def test_a_list_is_its_owner_s_alone(
    desk: Browser, owner: Person, new_browser: Callable[..., Browser]
) -> None:
    choose(desk, "ORG-1")
    colleague = enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR, "ORG-1")
    other = colleague.sign_in(new_browser())
    assert other.open(desk.path).status == 404
    assert other.open(f"{desk.path}/outcome.csv").status == 404
    assert other.open("/campaigns").every("campaign") == []
    other.open("/campaigns/new")
    for step in ("start", "pause", "resume", "cancel"):
        other.open("/campaigns/new").send(f"{desk.path}/{step}")
        assert other.status == 404
    assert desk.open(desk.path).named("standing") == "не запущен"


# The file that leaves


def table(browser: Browser) -> list[list[str]]:
    answer = browser.ask("get", f"{browser.path}/outcome.csv", buffered=True)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="zaprosy-')
    text = answer.data.decode("utf-8")
    assert text[0] == "\ufeff"
    return list(csv.reader(StringIO(text[1:]), delimiter=";"))


def test_the_outcome_leaves_as_a_file(desk: Browser, post: Post, time: Time) -> None:
    choose(desk, "ORG-1", "=1+1", "ORG-2", OTHER)
    desk.press(START)
    campaign.continue_due()
    post.deliver()
    time.passes(seconds=1)
    campaign.continue_due()
    header, *rows = table(desk)
    assert header == ["ID", "Организация", "Что вышло", "Когда", "Письмо", "Строка"]
    short = [[row[0], row[1], row[2], row[4], row[5]] for row in rows]
    assert short == [
        ["ORG-1", LOMOVA.short_name, "запрос отправлен", "передано почтовому серверу", "1"],
        ["'=1+1", "", "строку не прочитать", "", "2"],
        ["ORG-2", "ООО «Волжские перевозки»", "запрос отправлен", "отправляем", "3"],
        [OTHER, "", "такой организации у вас нет", "", "4"],
    ]
    assert rows[0][3].endswith("мск")
    assert rows[1][3] == ""


def test_its_file_is_named_after_the_day_in_moscow(
    owner: Person, browser: Browser, time: Time
) -> None:
    evening = clock.now().replace(hour=22) - clock.now()  # in UTC, when Moscow's next day began
    time.passes(days=1, seconds=evening.total_seconds())
    owner.sign_in(browser)
    choose(browser, "ORG-1")
    answer = browser.ask("get", f"{browser.path}/outcome.csv", buffered=True)
    day = clock.now().astimezone(clock.MOSCOW)
    assert day.date() != clock.now().date()
    assert f"zaprosy-{day:%Y-%m-%d}.csv" in answer.headers["Content-Disposition"]


def test_a_long_outcome_is_whole(desk: Browser) -> None:
    upload(desk, b"".join(b"NOWHERE-%d\n" % number for number in range(1200)))
    rows = table(desk)
    assert len(rows) == 1201
    assert [row[5] for row in rows[1:]] == [str(number) for number in range(1, 1201)]
