"""Organisations from a CSV file: the good lines are kept, each bad one is reported.

The format is README's «CSV of organisations». The file is read line by line, so its size does not
matter; lines are kept in batches, each in one transaction. How a file is read and kept is the same
for whatever it is of: `read_rows` and `in_batches`.
"""

import codecs
import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar

from portal import checks, editing, organisation
from portal.checks import BadValueError
from portal.database import db
from portal.exporting import unguarded
from portal.language import gettext as _
from portal.organisation import (
    FIELD_CHECKS,
    PERSON_FIELDS,
    Details,
    Outcome,
    check_networks,
    misfits,
)

BATCH = 200
LONGEST_FIELD = 10_000  # an unclosed quote is looked for no further than this
MOST_LINES_OF_A_ROW = 50  # nor further than this: every line of a file may open one
COLUMN_OF = {
    name: f"responsible_{name}" if name in PERSON_FIELDS else name for name in FIELD_CHECKS
}
COLUMNS = {"id", *COLUMN_OF.values(), "administrator_email", "secure_networks"}
OPTIONAL = {name: COLUMN_OF[name] for name in ("patronymic", "postal_address")} | {
    "networks": "secure_networks"
}


class UnreadableFileError(Exception):
    """The file as a whole cannot be read; the text says why."""


class Refusal(NamedTuple):
    """A line that was not kept, and why."""

    line: int
    column: str
    reason: str


class Row(NamedTuple):
    """A line by the names of its columns, not checked yet."""

    line: int
    values: dict[str, str]


class Entry(NamedTuple):
    """A good line."""

    id: str
    details: Details
    administrator_email: str
    networks: str
    unsaid: frozenset[str] = frozenset()  # what the file has no column for


@dataclass
class Tally:
    """What an import came to."""

    new: int = 0
    changed: int = 0
    same: int = 0
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    """Those since the reader last took them out, so that a long list is never held."""

    def count(self, outcome: Outcome) -> None:
        setattr(self, outcome, getattr(self, outcome) + 1)

    def refuse(self, refusal: Refusal) -> None:
        self.refused += 1
        self.refusals.append(refusal)

    def take_refusals(self) -> list[Refusal]:
        taken, self.refusals = self.refusals, []
        return taken


Good = TypeVar("Good")


def count_lines(path: Path) -> int:
    """How many lines a file has, however they end: an export of an old Mac knows no line feed."""
    return sum(
        block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n") for block in _blocks(path)
    )


def import_file(path: Path, actor: str, *, dry_run: bool = False) -> Iterator[Tally]:
    """Keep the good lines of a file; yields the tally so far after each batch, and at the end.

    Raises UnreadableFileError. Nothing is kept in a dry run, but all is checked.
    """
    return in_batches(read(path), lambda batch, tally: _keep(batch, tally, actor, dry_run=dry_run))


def in_batches(
    items: Iterable[Good | Refusal], keep: Callable[[list[Good], Tally], None]
) -> Iterator[Tally]:
    """Keep the good ones, some at a time; yields the tally so far after each batch, and at the end.

    `keep` counts in the tally what came of each.
    """
    tally = Tally()
    batch: list[Good] = []
    for item in items:
        if isinstance(item, Refusal):
            tally.refuse(item)
        else:
            batch.append(item)
        if len(batch) + len(tally.refusals) >= BATCH:
            keep(batch, tally)
            batch.clear()
            yield tally
    keep(batch, tally)
    yield tally


def _keep(batch: list[Entry], tally: Tally, actor: str, *, dry_run: bool) -> None:
    for outcome in _save(batch, actor, dry_run=dry_run):
        tally.count(outcome)


@db.again
def _save(batch: list[Entry], actor: str, *, dry_run: bool) -> list[Outcome]:
    outcomes = []
    with db.writing():
        for entry in map(_completed, batch):
            outcome = organisation.save(
                entry.id, entry.details, entry.administrator_email, entry.networks, actor
            )
            outcomes.append(outcome)
            if outcome is Outcome.CHANGED:
                editing.end_outdated(entry.id, actor)
        if not dry_run:
            db.commit()
    return outcomes


def _completed(entry: Entry) -> Entry:
    """What a file says nothing of stays as it is; of a new organisation it is empty."""
    found = organisation.find(entry.id) if entry.unsaid else None
    if found is None:
        return entry
    known = {name: organisation.start_of(found).values[name] for name in entry.unsaid}
    if not entry.details.is_same_person(found.details):
        known.pop("patronymic", None)  # it was somebody else's
    networks = known.pop("networks", entry.networks)
    return entry._replace(details=replace(entry.details, **known), networks=networks)


def read(path: Path) -> Iterator[Entry | Refusal]:
    """Each line of a file, read and checked; raises UnreadableFileError."""
    seen: dict[str, int] = {}
    for row in read_rows(path, COLUMNS, set(OPTIONAL.values())):
        entry = row if isinstance(row, Refusal) else _entry(*row)
        if isinstance(entry, Entry) and entry.id in seen:
            reason = _("этот ID уже был в строке %(line)s", line=seen[entry.id])
            entry = Refusal(row.line, "id", reason)
        elif isinstance(entry, Entry):
            seen[entry.id] = row.line
        yield entry


def read_rows(
    path: Path, columns: Set[str], may_be_missing: Set[str] = frozenset()
) -> Iterator[Row | Refusal]:
    """Each line of a file with these columns that is one; raises UnreadableFileError."""
    with _opened(path) as file:
        lines, reader = _reading(file)
        header = _header(reader)
        _check_header(header, columns, may_be_missing)
        for row in _rows(lines, reader, header):
            yield row if isinstance(row, Refusal) else _lines_apart(row)


def read_column(path: Path, name: str) -> Iterator[Row | Refusal]:
    """One column of a file, whatever others it has; a file without a header has no other.

    Raises UnreadableFileError.
    """
    with _opened(path) as file:
        lines, reader = _reading(file)
        header = _header(reader)
        if name not in header and len(header) > 1:
            raise UnreadableFileError(_("Нет столбцов: %(names)s.", names=name))
        if header.count(name) > 1:
            raise UnreadableFileError(_("Столбец назван дважды."))
        if name not in header:
            lines, reader = _reading(file)
            header = [name]
        yield from _rows(lines, reader, header)


def _opened(path: Path) -> TextIO:
    # A byte that is no text becomes U+FFFD, which no check lets pass: so its line is refused.
    return path.open(encoding=_encoding(path), errors="replace", newline="")


def _reading(file: TextIO) -> "tuple[_Lines, Iterator[list[str]]]":
    """A reader of a file's lines, from the first one on."""
    csv.field_size_limit(LONGEST_FIELD)
    file.seek(0)
    delimiter = _delimiter(file)
    lines = _Lines(file)
    return lines, csv.reader(lines, delimiter=delimiter, strict=True)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        return [name.strip().lower() for name in next(reader, [])]
    except csv.Error:
        raise UnreadableFileError(_("В строке заголовка не закрыты кавычки.")) from None


def _lines_apart(row: Row) -> Row | Refusal:
    """What stands in a field is never read as a line, nor is a line break kept."""
    for column, value in row.values.items():
        if "\n" in value or "\r" in value:
            return Refusal(row.line, column, _("Уберите переносы строк и непечатаемые знаки."))
    return row


def _rows(
    lines: "_Lines", reader: Iterator[list[str]], header: list[str]
) -> Iterator[Row | Refusal]:
    while True:
        lines.begin()
        number = lines.number
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            lines.put_back()
            yield Refusal(number, "", _("строка обрывается или кавычки в ней не закрыты"))
            continue
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(header):
            reason = _("полей %(found)s вместо %(wanted)s", found=len(values), wanted=len(header))
            yield Refusal(number, "", reason)
            continue
        yield Row(number, dict(zip(header, map(unguarded, values), strict=True)))


class _Lines:
    """The lines of a file, counted. Those after a line with an unclosed quote can be put back.

    Lines inside a field that is closed are not: what stands in a field is never read as a line.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= MOST_LINES_OF_A_ROW:
            raise csv.Error
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self._taken.append(line)
        return line

    def begin(self) -> None:
        """What comes now belongs to a new row."""
        self.number += len(self._taken)
        self._taken.clear()

    def put_back(self) -> None:
        """Read the row's lines but the first once more."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]


def _check_header(header: list[str], columns: Set[str], may_be_missing: Set[str]) -> None:
    missing = sorted(columns - may_be_missing - set(header))
    unknown = sorted(set(header) - columns)
    if missing:
        raise UnreadableFileError(_("Нет столбцов: %(names)s.", names=", ".join(missing)))
    if unknown:
        names = ", ".join(map(_shown, unknown))
        raise UnreadableFileError(_("Лишние столбцы: %(names)s.", names=names))
    if len(set(header)) < len(header):
        raise UnreadableFileError(_("Столбец назван дважды."))


def _shown(name: str) -> str:
    """A name out of a file, fit for a terminal: signs that steer one are spelled out."""
    return name if name.isprintable() else ascii(name)


def _entry(number: int, row: dict[str, str]) -> Entry | Refusal:
    column = "id"
    try:
        id = checks.organisation_id(row["id"])
        values = {}
        for name, check in FIELD_CHECKS.items():
            column = COLUMN_OF[name]
            values[name] = check(row.get(column, ""))
        for column, reason in misfits(values).items():
            return Refusal(number, column, reason)
        column = "administrator_email"
        administrator_email = checks.email(row[column])
        column = "secure_networks"
        own_networks = check_networks(row.get(column, ""))
    except BadValueError as error:
        return Refusal(number, column, str(error))
    unsaid = frozenset(name for name, column in OPTIONAL.items() if column not in row)
    return Entry(id, Details(**values), administrator_email, own_networks, unsaid)


def _delimiter(file: TextIO) -> str:
    header = file.readline(LONGEST_FIELD)
    file.seek(0)
    return ";" if header.count(";") > header.count(",") else ","


def _encoding(path: Path) -> str:
    """UTF-8, with or without a byte order mark, or Windows-1251.

    A few broken bytes make no Windows-1251 of a file: in that, hardly a letter is good UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    good = broken = 0
    for block in chain(_blocks(path), [b""]):
        if b"\0" in block:
            raise UnreadableFileError(_("Это не CSV. В Excel выберите «Сохранить как» и «CSV»."))
        text = decoder.decode(block, final=not block)
        plain, bad = len(text.encode("ascii", "ignore")), text.count("\ufffd")
        good, broken = good + len(text) - plain - bad, broken + bad
    return "windows-1251" if broken > good else "utf-8-sig"


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        if path.exists() and not path.is_file():  # a pipe is read but once
            raise UnreadableFileError(
                _("Это не файл. Сохраните его на диск и назовите путь к нему.")
            )
        with path.open("rb") as file:
            yield from iter(lambda: file.read(1 << 20), b"")
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
