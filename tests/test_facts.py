"""Facts: imported from a file and kept unreadable, or known from our own records."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal import account, clock, config, device, importing_facts, journal
from portal.account import Account, Role
from portal.clock import MOSCOW
from portal.database import db
from portal.importing import BATCH, Refusal, Tally, UnreadableFileError
from portal.importing_facts import COLUMNS, Entry
from portal.recovery import questions
from portal.recovery.answers import is_readable, judge
from portal.recovery.facts import facts_of, keep
from portal.recovery.questions import OWN_RECORDS, Kind, Source, catalogue
from portal.recovery.tables import facts
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Time

HEADER = ["account_email", "service", "question", "answer"]
EMAIL = "p.petrov@sever-trakt.example"
ROW = {"account_email": EMAIL, "service": "extern", "question": "report_number", "answer": "145/2"}
OWNER = "Котов Илья Олегович"


@pytest.fixture
def petrov(app: Flask) -> Account:
    return enrol(EMAIL, Role.SPECIALIST, name="Петров Пётр Петрович", phone="+79215550101").account


@pytest.fixture
def file(petrov: Account, tmp_path: Path) -> Path:
    return tmp_path / "facts.csv"


def table(*rows: dict[str, str], delimiter: str = ",", columns: Iterable[str] = HEADER) -> str:
    """A CSV file's text: the usual row, changed."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(columns), delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(ROW | row for row in rows)
    return out.getvalue()


def read(file: Path, content: str | bytes) -> list[Entry | Refusal]:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(importing_facts.read(file))


def take(file: Path, content: str, *, dry_run: bool = False) -> tuple[Tally, list[Refusal]]:
    file.write_bytes(content.encode())
    tally, refusals = Tally(), list[Refusal]()
    for tally in importing_facts.import_file(file, "tests", dry_run=dry_run):
        refusals += tally.take_refusals()
    return tally, refusals


def known(owner: Account, service: str) -> dict[str, list[str]]:
    with db.reading():
        fresh = account.find(owner.id)
        assert fresh
        return facts_of(fresh, service)


def rows_of(what: Any) -> int:
    with db.reading():
        return int(db.scalar(select(func.count()).select_from(what)))


# How a file is written


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1251"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_file_is_read_however_it_is_written(
    file: Path, petrov: Account, delimiter: str, encoding: str, end: str
) -> None:
    answer = "ИФНС № 5 «по г. Ёлкину», отдел; 2"
    text = table({}, {"question": "report_authority", "answer": answer}, delimiter=delimiter)
    assert read(file, text.replace("\r\n", end).encode(encoding)) == [
        Entry(petrov.id, "extern", "report_number", "145/2"),
        Entry(petrov.id, "extern", "report_authority", answer),
    ]


def test_columns_may_stand_in_any_order(file: Path) -> None:
    assert read(file, table({}, columns=reversed(HEADER))) == read(file, table({}))


def test_blanks_and_the_case_of_an_email_do_not_matter(file: Path, petrov: Account) -> None:
    padded = {
        "account_email": f" {EMAIL.upper()} ",
        "service": " extern ",
        "question": " report_number",
        "answer": " 145\u00a0 2 ",
    }
    assert read(file, table(padded)) == [Entry(petrov.id, "extern", "report_number", "145 2")]


@pytest.mark.parametrize("column", HEADER)
def test_every_column_is_needed(file: Path, column: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"Нет столбцов: {column}"):
        read(file, table({}, columns=[each for each in HEADER if each != column]))


def test_no_other_column_is_taken(file: Path) -> None:
    with pytest.raises(UnreadableFileError, match="Лишние столбцы: comment"):
        read(file, table({}, columns=[*HEADER, "comment"]))
    assert set(HEADER) == COLUMNS


def test_a_file_that_is_not_there_is_not_read(file: Path) -> None:
    with pytest.raises(UnreadableFileError):
        list(importing_facts.import_file(file, "tests"))


# Lines that are refused


def fact(service: str, question: str, answer: str) -> dict[str, str]:
    return {"service": service, "question": question, "answer": answer}


BAD = [
    ({"account_email": ""}, "account_email", "адрес"),
    ({"account_email": "petrov"}, "account_email", "адрес"),
    ({"account_email": "nobody@sever-trakt.example"}, "account_email", "Такой учётной записи нет"),
    ({"service": ""}, "service", "Есть: cabinet, extern, school"),
    ({"service": "Экстерн"}, "service", "Такого сервиса нет"),
    ({"service": "extern\u200b"}, "service", "Такого сервиса нет"),
    ({"question": ""}, "question", "Есть: report_date, report_number, report_authority."),
    ({"question": "oms_id"}, "question", "Такого вопроса нет"),
    (fact("cabinet", "created", "19.11.2026 14:05"), "question", "по своим записям"),
    (fact("cabinet", "former_email", EMAIL), "question", "по своим записям"),
    (fact("cabinet", "other", "любит чай"), "question", "не сверяется"),
    (fact("focus", "recent_actions", "проверка"), "question", "не сверяется"),
    ({"answer": ""}, "answer", "Заполните"),
    ({"answer": " \u00a0"}, "answer", "Заполните"),
    ({"answer": "145\n2"}, "answer", "переносы строк"),
    ({"answer": "145\u202e2"}, "answer", "непечатаемые"),
    ({"answer": "отчёт 145\ufffd2"}, "answer", "непечатаемые"),
    ({"answer": "5" * 2001}, "answer", "не больше 2000 знаков"),
    ({"answer": "7"}, "answer", "Слишком коротко"),
    ({"answer": "«—»"}, "answer", "Слишком коротко"),
    (fact("extern", "report_date", "31.02.2026"), "answer", "Нужна дата, например 19.11.2026"),
    (fact("extern", "report_date", "март 2026"), "answer", "Нужна дата"),
    (fact("extern", "report_date", "01.03.2026, 02.03.2026"), "answer", "Нужна дата"),
    (fact("extern", "report_authority", "РФ, г."), "answer", "Слишком коротко"),
    (fact("school", "lesson_dates", "19.11.2026; скоро"), "answer", "Нужен список"),
    (fact("school", "lesson_dates", "; ,"), "answer", "Нужен список"),
    (fact("marking", "oms_id", "3f2c9a1"), "answer", "Слишком коротко"),
    (fact("diadoc", "employees", "двенадцать"), "answer", "Нужно число, например 12 или 3,5"),
    (fact("diadoc", "employees", "-1"), "answer", "Нужно число"),
    (fact("ofd", "registration_numbers", "0001234567012345, 17"), "answer", "Нужен список"),
]


@pytest.mark.parametrize(("change", "column", "reason"), BAD)
def test_a_bad_line_is_reported_and_the_good_ones_are_kept(
    file: Path, change: dict[str, str], column: str, reason: str
) -> None:
    before, refusal, after = read(file, table({}, change, {"answer": "145/3"}))
    assert isinstance(before, Entry)
    assert isinstance(refusal, Refusal)
    assert (refusal.line, refusal.column) == (3, column)
    assert reason in refusal.reason
    assert refusal.reason.endswith(".")
    assert isinstance(after, Entry)


@pytest.mark.parametrize(("change", "column", "reason"), BAD)
def test_a_report_never_repeats_an_email_or_an_answer(
    file: Path, change: dict[str, str], column: str, reason: str
) -> None:
    row = ROW | change
    (refusal,) = read(file, table(change))
    assert isinstance(refusal, Refusal)
    for name in ("account_email", "answer"):
        value = row[name].strip()
        assert len(value) < 5 or value not in refusal.reason


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_of_question_says_what_its_answer_has_to_be(
    file: Path, tmp_path: Path, kind: Kind
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[stock]\nname = "Склад"\nenough = 1\n'
        f'[[stock.questions]]\nkey = "a"\ntext = "А?"\nkind = "{kind}"\n'
        '[[stock.questions]]\nkey = "b"\ntext = "Б?"\nkind = "text"\n',
        encoding="utf-8",
    )
    config.use(replace(config.settings, questions_file=str(own)))
    (refusal,) = read(file, table(fact("stock", "a", "??")))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == importing_facts.UNREADABLE[kind]


GOOD = [
    fact("cabinet", "certificate_owner", OWNER),
    fact("cabinet", "certificate_until", "01.03.2027"),
    fact("extern", "report_date", "2026-10-25"),
    fact("extern", "report_number", "17"),
    fact("extern", "report_authority", "ИФНС по г. Архангельску"),
    fact("school", "lesson_dates", "19.11.2026; 20.11.2026"),
    fact("school", "test_dates", "25 ноября 2026"),
    fact("marking", "oms_id", "3f2c9a1b-77d0-4c1e-9a52-0b8e6d1f4a3c"),
    fact("market", "cash_registers", "Касса у входа, Касса № 2"),
    fact("market", "stocktaking_date", "01.10.2026"),
    fact("market", "item_stock", "Молоко 1 л — 14"),
    fact("market", "write_off_date", "02.10.2026"),
    fact("market", "posting_date", "03.10.2026"),
    fact("diadoc", "employees", "1 200"),
    fact("diadoc", "counterparties", "37"),
    fact("diadoc", "incoming_number", "№ 12"),
    fact("diadoc", "incoming_date", "10.11.2026"),
    fact("diadoc", "outgoing_number", "УПД-7"),
    fact("diadoc", "outgoing_date", "11.11.2026"),
    fact("ofd", "registers", "3"),
    fact("ofd", "registration_numbers", "0001234567012345; 0007654321012345"),
    fact("focus", "check_dates", "18.11.2026"),
    fact("focus", "checked_organisations", "ООО «Ромашка»; АО «Василёк»"),
]


def test_every_imported_question_takes_an_answer(file: Path, petrov: Account) -> None:
    tally, refusals = take(file, table(*GOOD))
    assert refusals == []
    assert tally.new == len(GOOD)
    imported = {
        (service.key, each.key)
        for service in catalogue().values()
        for each in service.questions
        if each.counts and each.source is Source.IMPORTED
    }
    assert {(each["service"], each["question"]) for each in GOOD} == imported
    for each in GOOD:
        assert known(petrov, each["service"])[each["question"]] == [each["answer"]]


FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@FILE
@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "utf-8-sig", "windows-1251"]))
@example(b'"', "")
@example(b"\x98", "windows-1251")
def test_no_bytes_break_the_reader(file: Path, content: bytes, after: str) -> None:
    good = table({}).encode(after) if after else b""
    try:
        items = read(file, good + content)
    except UnreadableFileError as error:
        assert str(error)  # noqa: PT017 - both ends are right
        return
    assert isinstance(items[0], Entry)
    assert all(isinstance(each, Refusal) for each in items[1:])


@FILE
@given(st.data(), st.text(max_size=40) | st.text("0123456789.:;- ", max_size=30))
def test_any_answer_is_kept_as_it_can_be_read_or_refused(
    file: Path, data: st.DataObject, answer: str
) -> None:
    service = data.draw(st.sampled_from(list(catalogue().values())))
    asked = data.draw(st.sampled_from(service.questions))
    content = table(fact(service.key, asked.key, answer)).encode("utf-8", "replace")
    for item in read(file, content):
        if isinstance(item, Entry):
            assert is_readable(asked, item.answer)
            assert asked.source is Source.IMPORTED


# What is kept


def test_the_same_file_twice_changes_nothing(file: Path, petrov: Account) -> None:
    text = table(*GOOD)
    take(file, text)
    before = rows_of(facts), rows_of(journal.events)
    tally, refusals = take(file, text)
    assert (tally.new, tally.changed, tally.same, tally.refused) == (0, 0, len(GOOD), 0)
    assert refusals == []
    assert (rows_of(facts), rows_of(journal.events)) == before


def test_a_line_twice_in_a_file_is_kept_once(file: Path, petrov: Account) -> None:
    tally, _ = take(file, table({}, {}, {"answer": " 145/2"}))
    assert (tally.new, tally.same) == (1, 2)
    assert known(petrov, "extern") == {"report_number": ["145/2"]}


def test_another_answer_is_added_to_the_first(file: Path, petrov: Account) -> None:
    take(file, table({}))
    tally, _ = take(file, table({"answer": "146/1"}))
    assert tally.new == 1
    assert known(petrov, "extern") == {"report_number": ["145/2", "146/1"]}


def test_the_same_answer_to_another_question_or_of_another_account_is_another_fact(
    file: Path, petrov: Account
) -> None:
    orlov = enrol("p.orlov@sever-trakt.example", Role.SPECIALIST).account
    tally, _ = take(
        file,
        table(
            fact("diadoc", "incoming_number", "145/2"),
            fact("diadoc", "outgoing_number", "145/2"),
            fact("extern", "report_number", "145/2"),
            {"account_email": orlov.email},
        ),
    )
    assert tally.new == 4
    assert known(orlov, "extern") == {"report_number": ["145/2"]}
    assert known(orlov, "diadoc") == {}
    with db.reading():
        prints = [row.fingerprint for row in db.all(select(facts.c.fingerprint))]
    assert len(set(prints)) == 4, "nobody sees who has the same answer"


def test_a_rotated_key_makes_no_second_fact(file: Path, petrov: Account) -> None:
    take(file, table({}))
    ours = config.settings
    config.use(replace(ours, data_keys=(b"another key of thirty-two bytes!", *ours.data_keys)))
    tally, _ = take(file, table({}))
    assert tally.same == 1
    assert known(petrov, "extern") == {"report_number": ["145/2"]}


def test_keeping_says_whether_a_fact_is_new(petrov: Account) -> None:
    with db.writing():
        assert keep(petrov.id, "extern", "report_number", "145/2", "tests")
        assert not keep(petrov.id, "extern", "report_number", "145/2", "tests")
    assert rows_of(facts) == 0, "who keeps does not commit"


def test_a_dry_run_counts_and_keeps_nothing(file: Path) -> None:
    before = rows_of(journal.events)
    tally, refusals = take(file, table({}, {"service": "none"}, {"answer": "7/1"}), dry_run=True)
    assert (tally.new, tally.refused, len(refusals)) == (2, 1, 1)
    assert rows_of(facts) == 0
    assert rows_of(journal.events) == before


def test_an_import_keeps_what_it_reported(file: Path) -> None:
    """More than one batch, and refusals that are taken out as they come."""
    count = BATCH * 2 + 7
    lines = ({"answer": f"№ {each}/1" if each % 10 else "1"} for each in range(count))
    tally, refusals = take(file, table(*lines))
    assert tally.refused == len(refusals) == len(range(0, count, 10))
    assert tally.new == rows_of(facts) == count - tally.refused
    assert tally.refusals == []


def test_answers_are_readable_nowhere_in_the_database(
    file: Path, everything_stored: Callable[[], bytes]
) -> None:
    take(file, table(*GOOD))
    stored = everything_stored()
    assert b"report_number" in stored
    for value in (OWNER, "Котов", "Молоко", "3f2c9a1b", "0001234567012345", "2026-10-25", EMAIL):
        assert value.encode() not in stored


def test_the_journal_says_that_a_fact_came_and_not_which(file: Path, petrov: Account) -> None:
    take(file, table(fact("marking", "oms_id", "3f2c9a1b")))
    with db.reading():
        line = db.all(select(journal.events).order_by(journal.events.c.id))[-1]
        assert journal.first_broken_line() is None
    assert (line.chain, line.name, line.actor) == (petrov.chain, "fact.imported", "tests")
    assert json.loads(line.details) == {"service": "marking", "question": "oms_id"}


# What our own records know


@pytest.fixture
def changed(petrov: Account, time: Time) -> Account:
    """Petrov, after a life of changes: one a day, at noon in Moscow."""
    noon = clock.now().astimezone(MOSCOW).replace(hour=12, minute=0, second=30)
    clock.shift(noon + timedelta(days=40) - clock.now())
    for field, values in {
        "name": ["Петров-Водкин Пётр Петрович", "Водкин Пётр Петрович"],
        "email": ["p.vodkin@sever-trakt.example"],
        "phone": ["+79215550102", "+79215550103"],
    }.items():
        for value in values:
            current = account.find(petrov.id)
            assert current
            with db.writing():
                account.change(current, field, value, "tests")
                db.commit()
            time.passes(days=1)
    current = account.find(petrov.id)
    assert current
    return current


def day(owner: Account, after: int) -> str:
    """The day of the change that came so many days after the first."""
    local = owner.created_at.astimezone(MOSCOW) + timedelta(days=40 + after)
    return local.date().isoformat()


def test_our_own_records_answer_what_the_portal_knows(petrov: Account, changed: Account) -> None:
    created = petrov.created_at.astimezone(MOSCOW)
    assert known(petrov, "cabinet") == {
        "created": [f"{created:%Y-%m-%d %H:%M}"],
        "former_name": ["Петров Пётр Петрович"],  # in the second stands the name of today
        "name_changed": [day(petrov, 0), day(petrov, 1)],
        "former_email": [EMAIL],
        "email_changed": [day(petrov, 2)],
        "former_phone": ["+79215550101", "+79215550102"],
        "phone_changed": [day(petrov, 3), day(petrov, 4)],
        "second_factor": [f"{created:%Y-%m-%d}"],
    }


def test_our_own_records_are_read_by_the_kinds_of_their_questions(changed: Account) -> None:
    found = known(changed, "cabinet")
    assert set(found) == set(OWN_RECORDS)
    for key, each in found.items():
        asked = catalogue()["cabinet"].question(key)
        assert asked
        assert all(is_readable(asked, answer) for answer in each), key


def test_an_account_that_never_changed_has_no_former_values(petrov: Account) -> None:
    assert set(known(petrov, "cabinet")) == {"created", "second_factor"}
    assert known(petrov, "extern") == {}


def test_an_account_without_a_second_factor_has_no_date_of_it(app: Flask) -> None:
    with db.writing():
        made = account.create("new@example.ru", Role.SPECIALIST, None, "Новый", "", "tests")
        db.commit()
    assert set(known(made, "cabinet")) == {"created"}


def test_the_second_factor_was_set_up_when_the_first_device_came(
    petrov: Account, time: Time
) -> None:
    before = known(petrov, "cabinet")["second_factor"]
    time.passes(days=20)
    with db.writing():
        device.drop_all(petrov, "10.20.4.17", but="")
        db.commit()
    assert known(petrov, "cabinet")["second_factor"] == before


def test_what_was_empty_is_no_former_value(app: Flask) -> None:
    owner = enrol("nina@sever-trakt.example", Role.SPECIALIST, phone="").account
    with db.writing():
        account.change(owner, "phone", "+79215550102", "tests")
        db.commit()
    found = known(owner, "cabinet")
    assert "former_phone" not in found
    assert "phone_changed" not in found


@pytest.mark.parametrize(
    ("field", "values", "former"),
    [
        ("name", ["Петров Петр Петрович"], []),
        ("name", ["Пётр Петров"], ["Петров Пётр Петрович"]),
        ("name", ["Орлов Пётр Петрович", "Петров Пётр Петрович"], ["Орлов Пётр Петрович"]),
        ("email", [EMAIL.upper()], []),
        ("phone", ["+79215550102", "+79215550101"], ["+79215550102"]),
    ],
)
def test_a_former_value_that_is_true_today_proves_nothing(
    petrov: Account, field: str, values: list[str], former: list[str]
) -> None:
    for value in values:
        current = account.find(petrov.id)
        assert current
        with db.writing():
            account.change(current, field, value, "tests")
            db.commit()
    assert known(petrov, "cabinet").get(f"former_{field}", []) == former


@pytest.mark.parametrize("owner", ["Петров Пётр Петрович", "Петров П. Петр", "пётр петров"])
def test_a_certificate_of_the_same_name_proves_nothing(
    file: Path, petrov: Account, owner: str
) -> None:
    take(file, table(fact("cabinet", "certificate_owner", owner)))
    shown = known(petrov, "cabinet").get("certificate_owner", [])
    assert shown == ([owner] if "П." in owner else []), "the initial is not in the name"


def test_what_the_name_of_today_tells_is_never_enough(changed: Account) -> None:
    """Whoever sees the account knows its name, email and phone."""
    service = replace(catalogue()["cabinet"], enough=1)
    for typed in (changed.name, "Пётр Петрович", "Водкин Пётр", "Петрович Водкин"):
        assert not judge(service, {"former_name": typed}, known(changed, "cabinet"))
    assert not judge(service, {"former_email": changed.email}, known(changed, "cabinet"))
    assert not judge(service, {"former_phone": changed.phone}, known(changed, "cabinet"))


def test_who_recalls_two_things_of_the_account_has_answered(changed: Account) -> None:
    found = known(changed, "cabinet")
    service = catalogue()["cabinet"]
    created = changed.created_at.astimezone(MOSCOW)
    about = created + timedelta(minutes=100)
    right = {
        "created": f"{about:%d.%m.%Y в %H:%M}",
        "former_name": "петр петрович ПЕТРОВ",
        "former_email": EMAIL.title(),
        "former_phone": "8 (921) 555-01-02",
        "second_factor": f"{created + timedelta(days=2):%d.%m.%y}",
        "phone_changed": day(changed, 3)[:7],
    }
    for one in right.items():
        assert not judge(service, dict([one]), found)
        for other in right.items():
            assert judge(service, dict([one, other]), found) is (one != other), (one, other)


def test_a_fact_of_a_question_that_is_no_longer_asked_is_left_out(
    file: Path, petrov: Account, tmp_path: Path
) -> None:
    take(file, table({}, {"question": "report_date", "answer": "25.10.2026"}))
    own = tmp_path / "own.toml"
    shipped = questions.SHIPPED.read_text(encoding="utf-8")
    own.write_text(shipped.replace("report_number", "report_code"), encoding="utf-8")
    config.use(replace(config.settings, questions_file=str(own)))
    assert known(petrov, "extern") == {"report_date": ["25.10.2026"]}


def test_a_fact_planted_for_our_own_records_is_not_believed(petrov: Account) -> None:
    before = known(petrov, "cabinet")
    with db.writing():
        keep(petrov.id, "cabinet", "created", "2020-01-01 12:00", "tests")
        keep(petrov.id, "cabinet", "former_email", "planted@example.ru", "tests")
        db.commit()
    assert known(petrov, "cabinet") == before


def test_facts_of_one_account_are_no_others(file: Path, petrov: Account) -> None:
    orlov = enrol("p.orlov@sever-trakt.example", Role.SPECIALIST).account
    take(file, table(*GOOD))
    for service in catalogue():
        assert set(known(orlov, service)) <= {"created", "second_factor"}


@pytest.fixture(autouse=True)
def _shipped_questions() -> Iterator[None]:
    yield
    questions._read.cache_clear()
