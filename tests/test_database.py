"""The database: who reads cannot write, and of parallel writers none loses anything."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import clock
from portal.confirmation.tables import codes
from portal.database import Moment, db
from portal.database.dbms import new_file
from portal.organisation import organisations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

THREADS, TIMES = 8, 15


@pytest.fixture
def counter(app: Flask) -> Iterator[None]:
    with db.writing():
        db.execute(text("CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER)"))
        db.execute(text("INSERT INTO counter VALUES (1, 0)"))
        db.commit()
    yield
    with db.writing():
        db.execute(text("DROP TABLE counter"))
        db.commit()


def value() -> int:
    with db.reading():
        return int(db.scalar(text("SELECT value FROM counter")))


def add(more: int = 1) -> None:
    """Read, then write what was read and more: safe only under the write lock."""
    before = db.scalar(text("SELECT value FROM counter"))
    db.execute(text("UPDATE counter SET value = :value"), {"value": before + more})


@db.again
def add_one() -> None:
    with db.writing():
        add()
        db.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE counter SET value = 7",
        "INSERT INTO counter VALUES (2, 7)",
        "DELETE FROM counter",
        "DROP TABLE counter",
        "CREATE TABLE another (id INTEGER)",
    ],
)
def test_a_reading_connection_cannot_write(counter: None, statement: str) -> None:
    with db.reading(), pytest.raises(DBAPIError, match=r"read-?only"):
        db.execute(text(statement))
    assert value() == 0


def test_who_says_nothing_only_reads(counter: None) -> None:
    with db.writing():
        add()
        db.commit()
    with pytest.raises(DBAPIError, match=r"read-?only"):
        add()
    db.close()
    assert value() == 1


def test_parallel_increments_are_all_kept(counter: None) -> None:
    start = threading.Barrier(THREADS)
    trouble: list[BaseException] = []

    def work() -> None:
        start.wait()
        try:
            for _ in range(TIMES):
                add_one()
        except BaseException as error:
            trouble.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble
    assert value() == THREADS * TIMES


def test_what_was_not_committed_is_undone(counter: None) -> None:
    with db.writing():
        add()
    assert value() == 0


def test_an_error_undoes_what_was_done(counter: None) -> None:
    def fail() -> None:
        with db.writing():
            add()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert value() == 0
    with db.writing():  # and the lock was let go
        add()
        db.commit()
    assert value() == 1


def test_who_reads_sees_nothing_of_an_unfinished_change(counter: None) -> None:
    seen: list[int] = []
    with db.writing():
        add()
        reader = threading.Thread(target=lambda: seen.append(value()))
        reader.start()
        reader.join()
        db.commit()
    assert seen == [0]
    assert value() == 1


def test_a_row_of_nobody_is_refused(app: Flask) -> None:
    with db.writing(), pytest.raises(IntegrityError):
        db.execute(
            text(
                "INSERT INTO records (organisation_id, person, details, phone_fingerprint,"
                " email_fingerprint, made_at, made_by)"
                " VALUES ('nobody', '', '', '', '', '2026-01-01', '')"
            )
        )


@pytest.mark.sqlite
def test_the_database_keeps_a_log_that_survives_a_crash(app: Flask) -> None:
    with db.writing():
        assert db.scalar(text("PRAGMA journal_mode")) == "wal"
        assert db.scalar(text("PRAGMA synchronous")) == 2


def test_a_moment_is_the_same_from_any_zone() -> None:
    moscow = datetime(2026, 11, 21, 15, tzinfo=timezone(timedelta(hours=3)))
    for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call]
        stored = Moment().process_bind_param(moscow, dialect)
        assert Moment().process_result_value(stored, dialect) == moscow
        assert Moment().process_bind_param(None, dialect) is None
    stored = Moment().process_bind_param(moscow, sqlite.dialect())
    assert stored == datetime(2026, 11, 21, 12)  # noqa: DTZ001 - what is stored has no zone


@pytest.mark.sqlite
def test_a_thread_writes_again_after_a_commit_that_failed(keep: Callable[..., None]) -> None:
    orphan = insert(codes).values(
        confirmation_id="nobody's",
        message_id="nobody's",
        seal=b"",
        ordinal=1,
        posted_at=clock.now(),
        expires_at=clock.now(),
        again_at=clock.now(),
    )
    with db.writing():
        db.execute(text("PRAGMA defer_foreign_keys = ON"))
        db.execute(orphan)
        with pytest.raises(IntegrityError):
            db.commit()
    keep()  # a transaction of its own, in the same thread
    with db.reading():
        assert db.one(organisations.select())
        assert db.one(codes.select()) is None


def test_a_forgotten_parameter_is_an_error(app: Flask) -> None:
    with db.reading(), pytest.raises(KeyError):
        db.one(select(organisations).where(organisations.c.id == bindparam("of")))


# A copy


def test_a_copy_has_its_name_once_it_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "portal.backup"
    with new_file(file) as output:
        output.write(b"all of it")
        assert not file.exists()
    assert file.read_bytes() == b"all of it"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_of_a_copy_that_failed_nothing_stays(tmp_path: Path) -> None:
    file = tmp_path / "portal.backup"
    with pytest.raises(ZeroDivisionError), new_file(file) as output:
        output.write(b"%d" % (1 / 0))
    assert not list(tmp_path.iterdir())


def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "portal.backup"
    file.write_bytes(b"another")
    with pytest.raises(FileExistsError), new_file(file):
        pytest.fail("it is there already")
    assert file.read_bytes() == b"another"
