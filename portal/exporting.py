"""Tables that leave as CSV files: for spreadsheets, and for the import.

UTF-8 with a byte order mark and semicolons, as spreadsheets in Russia read it. Lines are made
one after the other: no more than the file itself is in memory at once.

A spreadsheet takes a cell that begins with =, +, -, @ or a control sign for a formula, whoever
wrote it. Such a cell gets an apostrophe in front, and so does one where blanks or quotes come
first. So phones, which begin with +, stay text and keep all their digits. The import takes away
exactly that apostrophe (`unguarded`): what was exported is read back as it was.
"""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from io import StringIO
from urllib.parse import quote

from flask import Response, stream_with_context

from portal.checks import FORMULA_SIGNS

GUARD = "'"
QUOTES = frozenset("'\"`´‘’‚‛“”„‟«»‹›＇＂")
TOGETHER = 200  # lines that are written at a time
BYTE_ORDER_MARK = "\ufeff"


def lines(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """A file of a header and rows, in pieces; every cell is guarded."""
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    text.write(BYTE_ORDER_MARK)
    writer.writerow(map(guarded, header))
    for number, row in enumerate(rows, 1):
        writer.writerow(map(guarded, row))
        if number % TOGETHER == 0:
            yield _taken(text)
    yield _taken(text)


def csv_response(name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> Response:
    """A file for the browser to keep, read and written while it is sent."""
    response = Response(stream_with_context(lines(header, rows)), mimetype="text/csv")
    # A header is Latin-1, and an organisation's ID may be Cyrillic (RFC 6266).
    named = f'filename="{name}"' if name.isascii() else f"filename*=UTF-8''{quote(name)}"
    response.headers["Content-Disposition"] = f"attachment; {named}"
    return response


def guarded(value: object) -> str:
    """A value as a cell that no spreadsheet takes for a formula; None is an empty one."""
    text = "" if value is None else str(value)
    return GUARD + text if _needs_guard(text) else text


def unguarded(cell: str) -> str:
    """The value that `guarded` made a cell of."""
    is_guarded = cell.startswith(GUARD) and _needs_guard(cell[1:])
    return cell[1:] if is_guarded else cell


def _needs_guard(text: str) -> bool:
    """Whether a formula sign or a control sign comes first, blanks and quotes aside.

    A guard is a quote: so a value that looks guarded already gets another one, and none is lost.
    """
    for sign in text:
        if sign in FORMULA_SIGNS or unicodedata.category(sign) == "Cc":
            return True
        if sign not in QUOTES and not _is_unseen(sign):
            return False
    return False


def _is_unseen(sign: str) -> bool:
    """Blanks, and signs without a width."""
    return sign.isspace() or unicodedata.category(sign) in {"Cf", "Zs", "Zl", "Zp"}


def _taken(text: StringIO) -> bytes:
    taken = text.getvalue().encode("utf-8", "replace")
    text.seek(0)
    text.truncate()
    return taken
