"""Facts for the questions of a recovery from a CSV file: good lines are kept, bad ones reported.

The columns are `account_email, service, question, answer`, service and question by their keys in
the catalogue. Facts are added: the same file twice changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from portal import account, checks
from portal.account import Account
from portal.checks import BadValueError
from portal.database import db
from portal.importing import Refusal, Row, Tally, in_batches, read_rows
from portal.language import gettext as _
from portal.language import mark
from portal.organisation import Outcome
from portal.recovery import answers, facts, questions
from portal.recovery.questions import Kind, Question, Service, Source

COLUMNS = {"account_email", "service", "question", "answer"}
LONGEST_ANSWER = 2000
UNREADABLE = {
    Kind.DATE: mark("Нужна дата, например 19.11.2026."),
    Kind.MOMENT: mark("Нужны дата и время, например 19.11.2026 14:05."),
    Kind.TEXT: mark("Слишком коротко для сверки."),
    Kind.NUMBER: mark("Нужно число, например 12 или 3,5."),
    Kind.PHONE: mark("Нужен мобильный номер, например +7 921 555-01-47."),
    Kind.EMAIL: mark("Нужен адрес, например i.lomova@example.ru."),
    Kind.LIST: mark("Нужен список через точку с запятой или запятую; один из пунктов не подходит."),
    Kind.NOTE: mark("Ответ на этот вопрос не сверяется."),
}


class Entry(NamedTuple):
    """A good line."""

    account_id: str
    service: str
    question: str
    answer: str


def import_file(path: Path, actor: str, *, dry_run: bool = False) -> Iterator[Tally]:
    """Keep the good lines of a file; yields the tally so far after each batch, and at the end.

    Raises UnreadableFileError. Nothing is kept in a dry run, but all is checked.
    """
    return in_batches(read(path), lambda batch, tally: _keep(batch, tally, actor, dry_run=dry_run))


def _keep(batch: list[Entry], tally: Tally, actor: str, *, dry_run: bool) -> None:
    for is_new in _save(batch, actor, dry_run=dry_run):
        tally.count(Outcome.NEW if is_new else Outcome.SAME)


@db.again
def _save(batch: list[Entry], actor: str, *, dry_run: bool) -> list[bool]:
    with db.writing():
        are_new = [facts.keep(*entry, actor) for entry in batch]
        if not dry_run:
            db.commit()
    return are_new


def read(path: Path) -> Iterator[Entry | Refusal]:
    """Each line of a file, read and checked; raises UnreadableFileError."""
    for row in read_rows(path, COLUMNS):
        yield row if isinstance(row, Refusal) else _entry(row)


def _entry(row: Row) -> Entry | Refusal:
    """A reason never repeats what stands in the line: it is personal data."""
    column = "account_email"
    try:
        owner = _account(row.values[column])
        column = "service"
        service = _service(row.values[column])
        column = "question"
        question = _question(service, row.values[column])
        column = "answer"
        answer = _answer(question, row.values[column])
    except BadValueError as error:
        return Refusal(row.line, column, str(error))
    return Entry(owner.id, service.key, question.key, answer)


def _account(email: str) -> Account:
    found = account.find_by_email(checks.email(email))
    if found is None:
        raise BadValueError(_("Такой учётной записи нет."))
    return found


def _service(key: str) -> Service:
    known = questions.catalogue()
    found = known.get(key.strip())
    if found is None:
        raise BadValueError(_("Такого сервиса нет. Есть: %(keys)s.", keys=", ".join(known)))
    return found


def _question(service: Service, key: str) -> Question:
    found = service.question(key.strip())
    imported = [
        each.key for each in service.questions if each.counts and each.source is Source.IMPORTED
    ]
    if found is None:
        raise BadValueError(_("Такого вопроса нет. Есть: %(keys)s.", keys=", ".join(imported)))
    if found.source is Source.OWN:
        raise BadValueError(_("На этот вопрос портал отвечает по своим записям."))
    if found.kind is Kind.NOTE:
        raise BadValueError(_(UNREADABLE[Kind.NOTE]))
    return found


def _answer(question: Question, text: str) -> str:
    text = checks.one_line(text)
    if not text:
        raise BadValueError(_("Заполните поле."))
    if len(text) > LONGEST_ANSWER:
        raise BadValueError(_("Слишком длинно: не больше %(count)s знаков.", count=LONGEST_ANSWER))
    if not answers.is_readable(question, text):
        raise BadValueError(_(UNREADABLE[question.kind]))
    return text
