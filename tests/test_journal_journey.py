"""Reading the journal on pages, and taking it along as a file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from portal import clock, history, journal, outbox
from portal.account import Role
from portal.database import db, metadata
from portal.gateways import Reason, Trouble
from tests.people import Person, act, enrol
from tests.test_exporting import is_formula

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

    NewBrowser = Callable[..., Browser]

OWN, OTHER = "ORG-004217", "ORG-2"
CHAIN = f"organisation:{OWN}"


@pytest.fixture
def administrator(keep: Callable[..., None]) -> Person:
    keep()
    keep(OTHER, short_name="ООО «Южный путь»")
    return enrol("a@sever-trakt.example", Role.ADMINISTRATOR, OWN, name="Соколова Анна Юрьевна")


@pytest.fixture
def reader(administrator: Person, new_browser: NewBrowser) -> Browser:
    """The administrator's browser."""
    return administrator.come_in(new_browser())


def note(count: int = 1, name: str = "codes.paused", chain: str = CHAIN) -> None:
    for _line in range(count):
        act(lambda: journal.record(chain, name, "responsible", "10.20.4.17"))


def cells(browser: Browser, url: str) -> list[list[str]]:
    """The rows of a file, its header included."""
    answer = browser.ask("get", url, buffered=True)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="journal-')
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.data.decode("utf-8-sig")
    return list(csv.reader(StringIO(text, newline=""), delimiter=";", strict=True))


def refusals(person: Person) -> int:
    with db.reading():
        lines = journal.lines(person.account.chain, most=100, names=["access.refused"])
    return len(lines)


# An organisation's


def test_an_administrator_reads_what_happened_newest_first(
    reader: Browser, keep: Callable[..., None], ask: Callable[..., Any], post: Post, time: Time
) -> None:
    time.passes(minutes=1)
    keep(phone="+79215550100")
    time.passes(minutes=1)
    ask()
    post.deliver()
    reader.open(f"/organisations/{OWN}/journal")
    assert reader.page.heading == "Журнал организации"
    assert reader.every("sentence") == [
        "Письмо «Подтверждение данных» передано почтовому серверу",
        "Подтверждение данных запрошено",
        "Изменён номер телефона: +7 921 555-01-47 → +7 921 555-01-00",
        "Организация добавлена",
    ]
    assert reader.every("who")[0] == "доставка"


def test_from_an_organisations_page_to_its_journal_and_back(reader: Browser) -> None:
    reader.open(f"/organisations/{OWN}").follow("Весь журнал")
    assert reader.path == f"/organisations/{OWN}/journal"
    reader.follow("Назад: ООО «Северный тракт»")
    assert reader.path == f"/organisations/{OWN}"


def test_a_specialist_reads_any_organisations(
    administrator: Person, new_browser: NewBrowser
) -> None:
    specialist = enrol("s@izkt.example", Role.SPECIALIST)
    browser = specialist.sign_in(new_browser())
    for id in (OWN, OTHER):
        browser.open(f"/organisations/{id}/journal")
        assert browser.status == 200
        assert browser.every("sentence") == ["Организация добавлена"]
    assert (
        browser.open(f"/organisations/{OTHER}/journal").follow("Назад: ООО «Южный путь»").status
        == 200
    )
    assert browser.open("/organisations/NONE/journal").status == 404
    assert refusals(specialist) == 1


@pytest.mark.parametrize("end", ["", ".csv"])
@pytest.mark.parametrize("id", [OTHER, "NONE", "' OR 1=1 --", "ORG-004217%00", "x" * 500])
def test_another_organisations_is_not_there(
    reader: Browser, administrator: Person, id: str, end: str
) -> None:
    answer = reader.ask("get", f"/organisations/{id}/journal{end}")
    assert answer.status_code == 404
    assert "Южный путь" not in answer.text
    assert refusals(administrator) == 1


@pytest.mark.parametrize("end", ["", ".csv"])
def test_an_operational_user_is_refused(
    administrator: Person, new_browser: NewBrowser, end: str
) -> None:
    mate = enrol("o@sever-trakt.example", Role.OPERATOR, OWN)
    browser = mate.sign_in(new_browser())
    assert browser.ask("get", f"/organisations/{OWN}/journal{end}").status_code == 403
    assert refusals(mate) == 1


def test_who_is_not_signed_in_is_asked_to(administrator: Person, new_browser: NewBrowser) -> None:
    for url in ("/journal", "/journal.csv", f"/organisations/{OWN}/journal"):
        assert new_browser().open(url).path == "/signin"


# What is chosen


def test_one_kind_is_chosen_and_stays_chosen(reader: Browser, time: Time) -> None:
    time.passes(minutes=1)
    note()
    reader.open(f"/organisations/{OWN}/journal").press("Показать", kind="confirmation")
    assert reader.every("sentence") == ["Слишком много неверных кодов: приём кодов приостановлен"]
    assert reader.page.form_of("Показать").fields["kind"] == "confirmation"
    reader.press("Показать", kind="verification")
    assert reader.named("no-lines") == "Записей нет."


def on(day: datetime) -> None:
    """Move the clock to a moment."""
    clock.shift(day - clock.now())


def test_days_are_those_of_moscow(reader: Browser, administrator: Person) -> None:
    at = datetime(2031, 3, 5, 20, 59, 59, tzinfo=UTC)  # 23:59:59 in Moscow
    on(at)
    note()
    on(at + timedelta(seconds=2))
    note(name="code.posted")
    administrator.sign_in(reader)
    for day, sentence in (
        ("2031-03-05", "Слишком много неверных кодов: приём кодов приостановлен"),
        ("2031-03-06", "Запрошена СМС с кодом"),
        ("6.3.2031", "Запрошена СМС с кодом"),
    ):
        reader.open(f"/organisations/{OWN}/journal").press("Показать", since=day, until=day)
        assert reader.every("sentence") == [sentence], day
    reader.press("Показать", since="2031-03-05", until="2031-03-06")
    assert len(reader.every("sentence")) == 2
    assert "05.03.2031" in reader
    assert "06.03.2031" in reader
    reader.press("Показать", since="", until="2031-03-05")
    assert len(reader.every("sentence")) == 2, "and that it was added"


@pytest.mark.parametrize(
    "day",
    [
        *("31.02.2026", "2026-02-30", "вчера", "0000-00-00", "2026-13-01", "9999-12-31", "1.1.1"),
        *("99999999999999999999", "1999-12-31", "2026-01-01T00:00", "<script>", "２０２６-01-01"),
    ],
)
@pytest.mark.parametrize("field", ["since", "until"])
def test_what_is_no_day_is_said_beside_its_field(reader: Browser, field: str, day: str) -> None:
    reader.open(f"/organisations/{OWN}/journal").press("Показать", **{field: day})
    assert reader.status == 422
    assert reader.fault(field) == "Такого дня нет. Пишите день, месяц и год: 21.11.2026."
    assert reader.page.form_of("Показать").fields[field] == day, "what was typed is kept"
    assert not reader.has("line")
    answer = reader.ask("get", f"/organisations/{OWN}/journal.csv", query_string={field: day})
    assert answer.status_code == 422
    assert "Такого дня нет" in answer.text


def test_days_the_wrong_way_round_are_said(reader: Browser) -> None:
    reader.open(f"/organisations/{OWN}/journal").press(
        "Показать", since="2026-11-22", until="2026-11-21"
    )
    assert reader.status == 422
    assert reader.fault("until") == "Этот день раньше первого. Поменяйте их местами."
    assert reader.page.form_of("Показать").fields["since"] == "2026-11-22"


@pytest.mark.parametrize(
    "query",
    [
        *("kind=future", "kind=devices", "kind=DATA", "kind=' OR 1=1"),
        *("before=1", "before=x", "before=-1.2.~", "before=" + "9" * 400, "before=1.2.3.4"),
        "before=" + "9" * 19 + ".1.~",
    ],
)
@pytest.mark.parametrize("end", ["", ".csv"])
def test_what_no_form_of_ours_says_is_not_found(reader: Browser, query: str, end: str) -> None:
    assert reader.ask("get", f"/organisations/{OWN}/journal{end}?{query}").status_code == 404


def test_the_greatest_place_is_one(reader: Browser) -> None:
    before = "9" * 18 + "." + "9" * 17 + ".~"
    reader.open(f"/organisations/{OWN}/journal?before={before}")
    assert reader.every("sentence") == ["Организация добавлена"]
    reader.open(f"/organisations/{OWN}/journal?before=0.0.~")
    assert reader.named("no-lines") == "Записей нет."


def test_page_after_page_with_what_was_chosen(reader: Browser, time: Time) -> None:
    time.passes(minutes=1)
    note(120)
    reader.open(f"/organisations/{OWN}/journal").press("Показать", kind="confirmation")
    assert len(reader.every("line")) == 50
    assert not reader.has("first-page")
    reader.follow("Раньше")
    assert len(reader.every("line")) == 50
    assert reader.page.form_of("Показать").fields["kind"] == "confirmation"
    reader.follow("Раньше")
    assert len(reader.every("line")) == 20
    assert not reader.has("next-page")
    reader.follow("К началу")
    assert len(reader.every("line")) == 50


# The file


def test_the_file_says_what_the_page_says(
    reader: Browser, keep: Callable[..., None], post: Post, ask: Callable[..., Any], time: Time
) -> None:
    time.passes(minutes=1)
    keep(position="Директор", email="b@sever-trakt.example")
    time.passes(minutes=1)
    ask()
    post.deliver()
    reader.open(f"/organisations/{OWN}/journal")
    header, *rows = cells(reader, reader.page.links["Скачать (CSV)"])
    assert header == ["Когда (мск)", "Что произошло", "Кто", "IP-адрес", "Номер в журнале"]
    assert [row[1].partition(": ")[0] for row in rows] == reader.every("sentence")
    assert rows[2][1] == (
        "Изменены данные ответственного лица: Должность: Главный механик → Директор; "
        "Email: i.lomova@sever-trakt.example → b@sever-trakt.example"
    )
    assert [row[4] for row in rows] == ["", "3", "2", "1"]


def test_the_file_has_all_pages_and_what_was_chosen_alone(
    reader: Browser, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history.reading, "EXPORTED", 7)
    note(60)
    reader.open(f"/organisations/{OWN}/journal").press("Показать", kind="confirmation")
    rows = cells(reader, reader.page.links["Скачать (CSV)"])[1:]
    assert [row[4] for row in rows] == [str(number) for number in range(61, 1, -1)]


def test_no_cell_of_the_file_is_a_formula(
    reader: Browser, administrator: Person, time: Time
) -> None:
    evil = enrol("e@sever-trakt.example", Role.ADMINISTRATOR, OWN, name="=HYPERLINK(1)").account
    act(lambda: journal.record(CHAIN, "codes.paused", evil.id, "+1"))
    act(lambda: journal.record(CHAIN, "codes.paused", "@actor", "-1"))
    rows = cells(reader, f"/organisations/{OWN}/journal.csv")
    assert not any(is_formula(cell) for row in rows for cell in row)
    assert rows[2][2] == "'=HYPERLINK(1)"


def test_asking_for_the_file_changes_nothing_and_leaves_nothing_open(
    reader: Browser, administrator: Person
) -> None:
    note(5)
    url = f"/organisations/{OWN}/journal.csv"
    rows = metadata.tables["events"]
    for method in ("head", "get", "head", "get"):
        answer = reader.ask(method, url, buffered=True)
        assert answer.status_code == 200
        assert bool(answer.data) == (method == "get")
        with db.reading():
            assert len(db.all(rows.select().where(rows.c.chain == CHAIN))) == 6
    act(note_nothing)
    assert reader.open("/journal").status == 200


def note_nothing() -> None:
    """Something has to write: nobody holds a lock."""
    journal.record(CHAIN, "codes.paused", "responsible")


# Accounts


def test_everybody_reads_their_own(administrator: Person, new_browser: NewBrowser) -> None:
    for number, role in enumerate(Role):
        person = enrol(f"me{number}@sever-trakt.example", role, OWN)
        browser = (
            person.sign_in(new_browser()).open("/devices").follow("Журнал моей учётной записи")
        )
        assert browser.page.heading == "Мой журнал"
        assert browser.every("sentence")[0] == "Вход, второй фактор: приложение-аутентификатор"
        rows = cells(browser, browser.page.links["Скачать (CSV)"])
        assert len(rows) == 1 + len(browser.every("sentence"))
        browser.press("Показать", kind="devices")
        assert browser.every("sentence") == ["Добавлено устройство: приложение-аутентификатор"]
        assert browser.open("/journal?kind=people").status == 404


def test_an_administrator_reads_an_own_operational_users(
    reader: Browser, administrator: Person, new_browser: NewBrowser
) -> None:
    mate = enrol("o@sever-trakt.example", Role.OPERATOR, OWN, name="Орлов Олег Олегович")
    mate.sign_in(new_browser("10.20.4.50"))
    reader.open(f"/people/{mate.account.id}/journal")
    assert "Орлов Олег Олегович" in reader
    assert reader.every("sentence")[0] == "Вход, второй фактор: приложение-аутентификатор"
    assert reader.every("who")[0] == "Орлов Олег Олегович · 10.20.4.50"
    assert len(cells(reader, f"/people/{mate.account.id}/journal.csv")) > 2


@pytest.mark.parametrize("end", ["", ".csv"])
def test_nobody_elses_is_there(
    reader: Browser, administrator: Person, keep: Callable[..., None], end: str
) -> None:
    stranger = enrol("o@yug.example", Role.OPERATOR, OTHER).account
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, OWN).account
    specialist = enrol("s@izkt.example", Role.SPECIALIST).account
    ids = (stranger.id, colleague.id, specialist.id, administrator.account.id, "A" * 22)
    for tried, id in enumerate(ids, 1):
        assert reader.ask("get", f"/people/{id}/journal{end}").status_code == 404
        assert refusals(administrator) == tried


def test_an_sms_that_failed_is_told_as_one_though_a_letter_has_its_name(
    reader: Browser, administrator: Person
) -> None:
    class Refusing:
        way = "refusing"

        def send(self, _message: object) -> str:
            raise Trouble(Reason.REFUSED, permanent=True)

        def close(self) -> None:
            """Nothing is open."""

    owner, until = administrator.account.id, clock.now().isoformat()
    act(
        lambda: outbox.post(
            "sms", "case_waiting", "+79215550199", account_id=owner, number=1, until=until
        )
    )
    outbox.deliver_due("sms", Refusing())
    reader.open("/journal").press("Показать", kind="messages")
    told = reader.every("sentence")
    assert any(each.startswith("СМС об одобренном восстановлении не доставлена") for each in told)


def test_letters_about_an_account_are_in_its_journal(
    reader: Browser, administrator: Person, post: Post
) -> None:
    act(
        lambda: outbox.post("email", "password", "a@a.example", account_id=administrator.account.id)
    )
    post.email.arrived.clear()
    with db.writing():
        rows = metadata.tables["messages"]
        now = clock.now()
        db.execute(rows.update().values(delivered_at=now, due_at=None))
        db.commit()
    reader.open("/journal").press("Показать", kind="messages")
    assert reader.every("sentence") == ["Письмо «Новый пароль» передано почтовому серверу"]
