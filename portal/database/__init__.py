"""The database: the connections of the request, command or worker step that is running.

Tables are SQLAlchemy Core; a noun keeps its own. Every row that a page shows is read by a
statement built once, at import: that is what a page costs, so there is no ORM (docs/decisions.md).

Reading and writing are told apart before the first statement. Who only reads cannot change
anything: the database refuses it. Who writes finds, when it writes, that what it read is still
true: on SQLite it begins with the write lock, on PostgreSQL the transaction is serializable. There
somebody else may have been first; then all that was done is undone, and is done again while nobody
else writes (`again`, and portal/again.py for requests): twice at most.

Who has to answer soon says how long to wait for others (`patience`, in seconds): after that an
OperationalError says that the database is busy, instead of after BUSY_SECONDS.
"""

from portal.database.database import Database, db
from portal.database.dbms import BUSY_SECONDS, Overtaken
from portal.database.several import places
from portal.database.tables import LARGEST, Encrypted, Moment, key_ids, metadata

__all__ = [
    "BUSY_SECONDS",
    "LARGEST",
    "Database",
    "Encrypted",
    "Moment",
    "Overtaken",
    "db",
    "key_ids",
    "metadata",
    "places",
]
