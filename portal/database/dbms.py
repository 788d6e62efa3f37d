"""What the two database systems differ in."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import OperationalError

BUSY_SECONDS = 15


@contextmanager
def new_file(file: Path) -> Iterator[IO[bytes]]:
    """A file that was not there, for its owner alone; it has its name once it is finished.

    Until then it has `.part` behind it, which stays if somebody kills us. Raises FileExistsError.
    """
    if file.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    part = file.with_name(f"{file.name}.part")
    with open(part, "xb", opener=_for_the_owner) as opened:
        try:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
            part.rename(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Overtaken(OperationalError):
    """Another transaction was first: nothing of this one is kept, and it may be done again."""


class Listener(Protocol):
    """Somebody who waits for news."""

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Return when there is news, after so many seconds, or soon after it is over."""

    def close(self) -> None:
        """Wait no more."""


class Dbms(Protocol):
    """A database system. Connections are SQLAlchemy's, and belong to one thread each."""

    @property
    def driver_error(self) -> type[Exception]:
        """What its driver raises."""

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy writes its SQL."""

    @property
    def overtakes(self) -> bool:
        """Whether who writes may be overtaken."""

    def connect(self, *, writes: bool, seconds: float) -> Connection:
        """A connection, for reading or for writing, that waits so many seconds for others."""

    def wait(self, connection: Connection, seconds: float) -> None:
        """Have a connection wait that long for others."""

    def begin(self, connection: Connection, *, shared: bool, alone: bool, seconds: float) -> None:
        """Begin a transaction that writes.

        `shared`: others may change what it reads. `alone`: nobody else writes meanwhile.
        """

    def ended(self) -> None:
        """The transaction that this thread began is over."""

    def is_gone(self, connection: Connection, error: Exception) -> bool:
        """Whether an error says that the other end has let go, or is no place to write any more."""

    def is_unusable(self, error: Exception) -> bool:
        """Whether an error of another kind says that the database cannot be used as it is."""

    def is_overtaken(self, error: Any) -> bool:
        """Whether the driver says that another transaction was first."""

    def is_stale(self) -> bool:
        """Whether this thread may not go on with the connection that it reads by."""

    def hold(self, key: int) -> str | None:
        """The SQL that waits until nobody else holds a number of 64 bits, and holds it."""

    def tell(self, topic: str) -> str | None:
        """The SQL that tells all listeners of a topic, once the transaction is committed."""

    def listen(self, topic: str) -> Listener:
        """Somebody who waits for news of a topic."""

    def migrating(self) -> AbstractContextManager[Connection]:
        """A connection for changing the schema, one process at a time; commits at the end."""

    def back_up(self, file: Path) -> None:
        """Write a consistent copy to a file that is not there yet."""

    def dispose(self) -> None:
        """Forget what is kept between connections."""
