"""Organisations from a CSV file: good lines are kept, each bad one is reported."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal import config, confirmation, importing, journal, organisation
from portal.confirmation import Standing
from portal.database import db
from portal.importing import COLUMNS, Entry, Refusal, Tally, UnreadableFileError
from portal.organisation import Details, organisations, records
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Post

HEADER = [
    *("id", "name", "short_name", "inn", "kpp", "ogrn", "legal_address", "postal_address"),
    *("administrator_email", "responsible_last_name", "responsible_first_name"),
    *("responsible_patronymic", "responsible_position", "responsible_phone"),
    *("responsible_email", "secure_networks"),
]
ROW = {
    "id": "ORG-1",
    "name": LOMOVA.name,
    "short_name": LOMOVA.short_name,
    "inn": LOMOVA.inn,
    "kpp": LOMOVA.kpp,
    "ogrn": LOMOVA.ogrn,
    "legal_address": LOMOVA.legal_address,
    "postal_address": "",
    "administrator_email": ADMINISTRATOR,
    "responsible_last_name": "Ломова",
    "responsible_first_name": "Ирина",
    "responsible_patronymic": "Васильевна",
    "responsible_position": "Главный механик",
    "responsible_phone": "8 (921) 555-01-47",
    "responsible_email": LOMOVA.email,
    "secure_networks": "",
}
FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    config.use(config.load(ENVIRONMENT))
    return tmp_path / "organisations.csv"


def table(*rows: dict[str, str], delimiter: str = ",", columns: Iterable[str] = HEADER) -> str:
    """A CSV file's text: the usual row, changed."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(columns), delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(ROW | row for row in rows)
    return out.getvalue()


def read(file: Path, content: str | bytes) -> list[Entry | Refusal]:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(importing.read(file))


def keep(file: Path, content: str, *, dry_run: bool = False) -> tuple[Tally, list[Refusal]]:
    file.write_bytes(content.encode())
    tally, refusals = Tally(), list[Refusal]()
    for tally in importing.import_file(file, "tests", dry_run=dry_run):
        refusals += tally.take_refusals()
    return tally, refusals


def rows_of(what: Any) -> int:
    with db.reading():
        return int(db.scalar(select(func.count()).select_from(what)))


def found(id: str = "ORG-1") -> organisation.Organisation:
    with db.reading():
        one = organisation.find(id)
    assert one is not None
    return one


# How a file is written


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1251"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_file_is_read_however_it_is_written(
    file: Path, delimiter: str, encoding: str, end: str
) -> None:
    text = table(
        {}, {"id": "ОРГ-2", "legal_address": "«Ёлки»; — №\u00a01, «б»"}, delimiter=delimiter
    )
    first, second = read(file, text.replace("\r\n", end).encode(encoding))
    assert first == Entry("ORG-1", LOMOVA, ADMINISTRATOR, "")
    assert isinstance(second, Entry)
    assert second.id == "ОРГ-2"
    assert second.details.legal_address == "«Ёлки»; — № 1, «б»"


def test_columns_may_stand_in_any_order_and_some_may_be_missing(file: Path) -> None:
    needed = [each for each in reversed(HEADER) if each not in importing.OPTIONAL.values()]
    (entry,) = read(file, table({}, columns=needed))
    unsaid = frozenset({"patronymic", "postal_address", "networks"})
    assert entry == Entry("ORG-1", replace(LOMOVA, patronymic=""), ADMINISTRATOR, "", unsaid)


def test_the_header_may_have_capitals_and_blanks(file: Path) -> None:
    text = table({})
    header, _, rest = text.partition("\r\n")
    assert read(file, header.upper().replace(",", " , ") + "\r\n" + rest)[0] == read(file, text)[0]


def test_empty_lines_and_a_missing_last_line_end_are_no_matter(file: Path) -> None:
    text = table({}).replace("\r\n", "\r\n\r\n").rstrip() + "\r\n,,,\r\n , ,".rstrip("\r\n")
    assert [type(each) for each in read(file, text)] == [Entry]


def test_an_entrys_networks_have_one_spelling(file: Path) -> None:
    (entry,) = read(file, table({"secure_networks": "  10.20.4.0/24   ::FFFF:10.20.8.0/120 "}))
    assert isinstance(entry, Entry)
    assert entry.networks == "10.20.4.0/24 10.20.8.0/24"


# Lines that are refused

NEWLINE = "Уберите переносы строк"
BAD = [
    ("id", "", "ID"),
    ("id", "ORG 1", "ID"),
    ("name", "", "Заполните"),
    ("name", "ООО\x01", NEWLINE),
    ("name", "ООО «Ромашка»\nORG-9", NEWLINE),
    ("name", "я" * 501, "Слишком длинно"),
    ("short_name", "=HYPERLINK(A1)", "знака «=»"),
    ("inn", "2901999015", "Контрольные цифры ИНН"),
    ("inn", "290199901", "10 или 12"),
    ("kpp", "29010100", "КПП"),
    ("kpp", "", "КПП"),
    ("ogrn", "1022900999108", "Контрольная цифра ОГРН"),
    ("ogrn", "300100000000030", "не одного лица"),
    ("legal_address", "\u202eул.", NEWLINE),
    ("postal_address", "\rа/я 14", NEWLINE),
    ("administrator_email", "", "адрес"),
    ("administrator_email", "a@b@c", "адрес"),
    ("responsible_last_name", "", "Заполните"),
    ("responsible_last_name", "Ломова\n", NEWLINE),
    ("responsible_first_name", "@Ирина", "знака «@»"),
    ("responsible_patronymic", "Ва\u200bсильевна", NEWLINE),
    ("responsible_position", " ", "Заполните"),
    ("responsible_phone", "8 495 739-70-00", "мобильный"),
    ("responsible_phone", "\n8 921 555-01-47", NEWLINE),
    ("responsible_email", "i.lomova", "адрес"),
    ("secure_networks", "10.20.4.0/24,10.20.8.0/24", "через пробел"),
    ("secure_networks", "0.0.0.0/0", "слишком велика"),
    ("secure_networks", "0.0.0.0/8 1.0.0.0/8", "слишком велика"),
    ("secure_networks", "10.20.4.0/24 ::/0", "слишком велика"),
    ("secure_networks", "::ffff:0.0.0.0/96", "слишком велика"),
    ("secure_networks", "0.0.0.0/1 128.0.0.0/1", "слишком велика"),
    ("secure_networks", "12.0.0.0/8 34.0.0.0/8", "слишком велика"),
    ("secure_networks", " ".join(f"10.20.{number}.0/24" for number in range(51)), "не больше 50"),
    ("secure_networks", "10.20.4.1/24", "через пробел"),
    ("secure_networks", "10.20.4.0/24\n10.20.8.0/24", NEWLINE),
]


@pytest.mark.parametrize(("column", "value", "reason"), BAD)
def test_a_bad_line_is_reported_and_the_good_ones_are_kept(
    file: Path, column: str, value: str, reason: str
) -> None:
    bad = {"id": "ORG-2"} | {column: value}
    before, refusal, after = read(file, table({}, bad, {"id": "ORG-3"}))
    assert isinstance(refusal, Refusal)
    assert (refusal.line, refusal.column) == (3, column)
    assert reason in refusal.reason
    assert [each.id for each in (before, after) if isinstance(each, Entry)] == ["ORG-1", "ORG-3"]


def test_a_sole_proprietor_has_no_kpp(file: Path) -> None:
    alone = {"inn": "772817289210", "ogrn": "300100000000030", "kpp": ""}
    good, bad = read(file, table(alone, alone | {"id": "ORG-2", "kpp": "290101001"}))
    assert isinstance(good, Entry)
    assert isinstance(bad, Refusal)
    assert bad.column == "kpp"


def test_lines_are_numbered_as_an_editor_numbers_them(file: Path) -> None:
    text = table({"inn": "1"}, {"name": "a\nb\nc"}, {"inn": "2"}).replace("\r\n", "\r\n\r\n", 1)
    refusals = read(file, text)
    assert [each.line for each in refusals if isinstance(each, Refusal)] == [3, 4, 7]


def test_what_stands_in_a_field_is_never_read_as_a_line(file: Path) -> None:
    smuggled = table({"id": "ORG-9"}).split("\r\n")[1]
    (refusal,) = read(file, table({"name": f"ООО\n{smuggled}\n"}))
    assert refusal == Refusal(2, "name", "Уберите переносы строк и непечатаемые знаки.")


@pytest.mark.parametrize("wrong", ['"ООО', '"ООО""', '"ООО" "Ромашка"'])
@pytest.mark.parametrize("more", [2, 400])
def test_an_unclosed_quote_costs_its_line_alone(file: Path, wrong: str, more: int) -> None:
    good = table(*({"id": f"ORG-{number}"} for number in range(more))).split("\r\n")
    good.insert(2, f"ORG-9999,{wrong},and,so,on")
    items = read(file, "\r\n".join(good))
    assert isinstance(items[1], Refusal)
    assert items[1].line == 3
    assert "кавычки" in items[1].reason
    assert len(items) == more + 1
    assert all(isinstance(each, Entry) for each in items[2:])


def test_every_line_may_open_a_quote(file: Path) -> None:
    """Each is looked at a few times at most: else a small file would keep a thread for an hour."""
    lines = 10_000
    file.write_text("id\n" + 'x""","\n' * lines, encoding="utf-8")
    found = list(importing.read_column(file, "id"))
    assert len(found) == lines
    assert all(isinstance(each, importing.Refusal) for each in found)


def test_an_unclosed_quote_in_the_last_line_is_reported(file: Path) -> None:
    good, refusal = read(file, table({}) + 'ORG-2,"ООО')
    assert isinstance(good, Entry)
    assert isinstance(refusal, Refusal)
    assert refusal.line == 3


def test_a_field_too_long_to_be_one_is_reported(file: Path) -> None:
    refusal, good = read(file, table({"name": "я" * 20_000}, {"id": "ORG-2"}))
    assert isinstance(refusal, Refusal)
    assert refusal.line == 2
    assert isinstance(good, Entry)


@pytest.mark.parametrize(("line", "count"), [("ORG-2,ООО", 2), ("x" + "," * 16, 17)])
def test_a_wrong_number_of_fields_is_reported(file: Path, line: str, count: int) -> None:
    _good, refusal, _other = read(
        file, table({}) + f"{line}\r\n" + table({"id": "ORG-3"})[len(",".join(HEADER)) + 2 :]
    )
    assert refusal == Refusal(3, "", f"полей {count} вместо 16")


def test_an_id_may_stand_in_a_file_once(file: Path) -> None:
    first, second = read(file, table({}, {"name": "ООО «Другое»"}))
    assert isinstance(first, Entry)
    assert second == Refusal(3, "id", "этот ID уже был в строке 2")


def test_a_broken_byte_costs_its_line_and_not_the_encoding(file: Path) -> None:
    """A file taken for Windows-1251 because of one byte would keep nonsense for names."""
    content = table({}, {"id": "ORG-2"}, {"id": "ORG-3"}).encode()
    at = content.rindex("Ирина".encode(), 0, content.index(b"ORG-3"))
    for broken in (
        content[:at] + b"\xd0" + content[at:],
        content[:at] + b"\xff" + content[at + 1 :],
    ):
        first, refusal, last = read(file, broken)
        assert isinstance(first, Entry)
        assert first.details == LOMOVA
        assert isinstance(refusal, Refusal)
        assert (refusal.line, refusal.column) == (3, "responsible_first_name")
        assert isinstance(last, Entry)


def test_a_byte_that_windows_1251_does_not_know_costs_its_line(file: Path) -> None:
    content = (
        table({}, {"id": "ORG-2"})
        .encode("windows-1251")
        .replace("Ирина".encode("cp1251"), b"\x98", 1)
    )
    refusal, good = read(file, content)
    assert isinstance(refusal, Refusal)
    assert isinstance(good, Entry)
    assert good.details == LOMOVA


# Files that cannot be read


@pytest.mark.parametrize("column", sorted(COLUMNS - set(importing.OPTIONAL.values())))
def test_a_missing_column_is_named(file: Path, column: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"Нет столбцов: {column}"):
        read(file, table({}, columns=[each for each in HEADER if each != column]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Нет столбцов"),
        (b"\r\n\r\n", "Нет столбцов"),
        (table({}, columns=[*HEADER, "director"]).encode(), "Лишние столбцы: director"),
        (table({}, columns=[*HEADER, "id"]).encode(), "дважды"),
        (b'"id,name', "заголовка"),
        (b"x" * 50_000, "заголовка"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "не CSV"),
        (table({}).encode("utf-16"), "не CSV"),
        (table({}).encode() + b"\0", "не CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_not_read(file: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        read(file, content)


def test_a_file_that_is_not_there_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")  # would be read twice
    for path in (tmp_path / "none.csv", tmp_path / ("x" * 300), tmp_path, pipe):
        with pytest.raises(UnreadableFileError):
            list(importing.read(path))
        with pytest.raises(UnreadableFileError):
            importing.count_lines(path)


@FILE
@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "utf-8-sig", "windows-1251"]))
@example(b'"', "")
@example(b"\x98", "windows-1251")
@example(b'ORG-2,"', "utf-8")
@example(b"\xef\xbb\xbf\xef\xbb\xbfid", "")
def test_no_bytes_break_the_reader(file: Path, content: bytes, after: str) -> None:
    """With and without a good table before them."""
    good = table({}).encode(after) if after else b""
    try:
        items = read(file, good + content)
    except UnreadableFileError as error:
        assert str(error)  # noqa: PT017 - both ends are right
        return
    assert isinstance(items[0], Entry)
    assert all(isinstance(each, Refusal) for each in items[1:])


words = st.text(
    st.characters(codec="cp1251", categories=["L", "N", "P", "S"]), min_size=1, max_size=20
).filter(lambda text: not text.startswith(("=", "+", "-", "@")))
rows = st.fixed_dictionaries(
    {
        "name": words,
        "short_name": words,
        "legal_address": st.lists(words, min_size=1, max_size=4).map(" ".join),
        "postal_address": st.just("") | words,
        "responsible_last_name": words,
        "responsible_first_name": words,
        "responsible_patronymic": st.just("") | words,
        "responsible_position": words,
        "responsible_phone": st.integers(0, 9999).map(lambda number: f"+7921555{number:04}"),
    }
)


@FILE
@given(
    st.lists(rows, min_size=1, max_size=4),
    st.sampled_from([",", ";"]),
    st.sampled_from(["utf-8", "utf-8-sig", "windows-1251"]),
)
def test_every_good_row_comes_back_as_it_was(
    file: Path, good: list[dict[str, str]], delimiter: str, encoding: str
) -> None:
    text = table(
        *({"id": f"ORG-{number}"} | row for number, row in enumerate(good)), delimiter=delimiter
    )
    entries = read(file, text.encode(encoding))
    assert [each.details for each in entries if isinstance(each, Entry)] == [
        replace(LOMOVA, **{name.removeprefix("responsible_"): each for name, each in row.items()})
        for row in good
    ]


# What is kept


def test_a_new_organisation_is_kept(app: Flask, file: Path) -> None:
    tally, refusals = keep(file, table({"secure_networks": "10.20.4.0/24"}))
    assert (tally.new, tally.changed, tally.same, tally.refused) == (1, 0, 0, 0)
    assert refusals == []
    kept = found()
    assert kept.details == LOMOVA
    assert kept.administrator_email == ADMINISTRATOR
    assert [str(network) for network in kept.networks] == ["10.20.4.0/24"]


def test_what_a_file_has_no_column_for_stays_as_it_is(app: Flask, file: Path) -> None:
    own = {"secure_networks": "10.20.4.0/24", "postal_address": "163000, а/я 12"}
    keep(file, table(own))
    before = found()
    needed = [each for each in HEADER if each not in importing.OPTIONAL.values()]
    tally, refusals = keep(file, table({}, {"id": "ORG-2"}, columns=needed))
    assert (tally.same, tally.new, refusals) == (1, 1, [])
    assert found() == before
    assert (found("ORG-2").details.patronymic, found("ORG-2").networks) == ("", ())
    another = {"responsible_last_name": "Петров", "responsible_first_name": "Иван"}
    keep(file, table(another | {"id": "ORG-1"}, columns=needed))
    assert found().details.full_name == "Петров Иван", "the patronymic was somebody else's"
    keep(file, table(own))
    empty = {"secure_networks": "", "postal_address": "", "responsible_patronymic": ""}
    tally, _ = keep(file, table(empty))
    assert (tally.changed, found().networks) == (1, ()), "an empty cell says that it is empty"
    assert (found().details.postal_address, found().details.patronymic) == ("", "")


def test_the_same_file_twice_changes_nothing(app: Flask, file: Path) -> None:
    text = table({"secure_networks": "10.20.4.0/24"}, {"id": "ORG-2"})
    keep(file, text)
    before = found(), rows_of(records), rows_of(journal.events)
    tally, _ = keep(file, text)
    assert (tally.new, tally.changed, tally.same) == (0, 0, 2)
    assert (found(), rows_of(records), rows_of(journal.events)) == before


@pytest.mark.parametrize(
    "spelling",
    [
        {"responsible_phone": "+79215550147"},
        {"responsible_phone": "7 921 555 01 47"},
        {"responsible_last_name": " Ломова "},
        {"legal_address": LOMOVA.legal_address.replace(" ", "\u00a0")},
        {"inn": f" {LOMOVA.inn}"},
        {"responsible_email": "i.lomova@SEVER-TRAKT.example"},
    ],
    ids=lambda spelling: next(iter(spelling)),
)
def test_another_spelling_changes_nothing(app: Flask, file: Path, spelling: dict[str, str]) -> None:
    keep(file, table({}))
    before = found(), rows_of(journal.events)
    tally, _ = keep(file, table(spelling))
    assert tally.same == 1
    assert (found(), rows_of(journal.events)) == before


def test_a_changed_phone_keeps_the_person(app: Flask, file: Path) -> None:
    keep(file, table({}))
    before = found()
    tally, _ = keep(file, table({"responsible_phone": "+7 921 555-01-48"}))
    after = found()
    assert tally.changed == 1
    assert after.person == before.person
    assert after.record_id != before.record_id
    assert after.phone_fingerprint != before.phone_fingerprint
    assert after.email_fingerprint == before.email_fingerprint
    assert rows_of(records) == 2, "the older record is kept as it was"


def test_a_changed_record_ends_the_request_and_takes_its_letter_back(
    app: Flask, file: Path, ask: Callable[..., str], post: Post
) -> None:
    keep(file, table({}))
    id = ask("ORG-1")
    keep(file, table({"responsible_email": "right@sever-trakt.example"}))
    with db.reading():
        ended = confirmation.find(id)
    assert ended
    assert ended.state is Standing.CHANGED
    assert post.letters(LOMOVA.email) == [], "the address was what was wrong"
    assert first_event("confirmation.changed")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"responsible_last_name": "Котова"}, False),
        ({"responsible_first_name": "Алёна"}, False),
        ({"responsible_last_name": "ЛОМОВА"}, True),
        ({"responsible_patronymic": "Петровна"}, True),
        ({"responsible_position": "Директор"}, True),
    ],
)
def test_another_name_is_another_person(
    app: Flask, file: Path, change: dict[str, str], same: bool
) -> None:
    keep(file, table({}))
    before = found()
    tally, _ = keep(file, table(change))
    assert tally.changed == 1
    assert (found().person == before.person) is same


def test_a_name_is_the_same_with_and_without_dots(app: Flask, file: Path) -> None:
    keep(file, table({"responsible_first_name": "Алёна"}))
    before = found()
    keep(file, table({"responsible_first_name": "Алена"}))
    assert found().person == before.person


def test_an_administrator_or_networks_changed_make_no_new_record(app: Flask, file: Path) -> None:
    keep(file, table({}))
    before = found()
    tally, _ = keep(file, table({"administrator_email": "new@sever-trakt.example"}))
    assert tally.changed == 1
    tally, _ = keep(
        file,
        table(
            {"administrator_email": "new@sever-trakt.example", "secure_networks": "10.20.4.0/24"}
        ),
    )
    assert tally.changed == 1
    assert found().record_id == before.record_id
    assert found().administrator_email == "new@sever-trakt.example"
    assert rows_of(records) == 1


def test_a_value_that_stays_keeps_its_fingerprint_when_the_key_is_rotated(
    app: Flask, file: Path
) -> None:
    keep(file, table({}))
    before = found()
    ours = config.settings
    config.use(replace(ours, data_keys=(b"another key of thirty-two bytes!", *ours.data_keys)))
    keep(file, table({"responsible_phone": "+7 921 555-01-48"}))
    assert found().email_fingerprint == before.email_fingerprint


def test_bad_lines_do_not_keep_the_good_ones_out(app: Flask, file: Path) -> None:
    tally, refusals = keep(file, table({}, {"id": "ORG-2", "inn": "1"}, {"id": "ORG-3"}))
    assert (tally.new, tally.refused) == (2, 1)
    assert [each.line for each in refusals] == [3]
    assert rows_of(organisations) == 2


def test_a_dry_run_counts_and_keeps_nothing(app: Flask, file: Path) -> None:
    tally, _ = keep(file, table({}, {"id": "ORG-2"}), dry_run=True)
    assert tally.new == 2
    assert rows_of(organisations) == 0
    assert rows_of(journal.events) == 0


def test_personal_data_is_readable_nowhere_in_the_database(
    app: Flask, file: Path, everything_stored: Callable[[], bytes]
) -> None:
    keep(file, table({}))
    stored = everything_stored()
    assert b"ORG-1" in stored
    for value in (LOMOVA.phone, "9215550147", LOMOVA.email, "Ломова", "Ирина", ADMINISTRATOR):
        assert value.encode() not in stored


def test_an_import_keeps_what_it_reported(app: Flask, file: Path) -> None:
    """More than one batch, and refusals that are taken out as they come."""
    count = importing.BATCH * 2 + 7
    tally, refusals = keep(
        file,
        table(
            *({"id": f"O-{each}"} | ({} if each % 10 else {"kpp": "1"}) for each in range(count))
        ),
    )
    assert tally.refused == len(refusals) == len(range(0, count, 10))
    assert tally.new == rows_of(organisations) == count - tally.refused
    assert tally.refusals == []


def test_the_columns_of_the_tests_are_those_of_the_portal() -> None:
    assert set(HEADER) == COLUMNS
    assert Details.read(LOMOVA.written()) == LOMOVA


def first_event(name: str) -> Any:
    with db.reading():
        return db.one(journal.events.select().where(journal.events.c.name == name))
