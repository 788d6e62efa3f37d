"""The embedded way out: what leaves stays in the house, to be read at /inbox."""

from sqlalchemy import Column, Integer, String, Table, bindparam, insert, select

from portal import clock
from portal.database import Encrypted, Moment, db, metadata
from portal.gateways.outgoing import Outgoing

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message_id", String(22), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("recipient", Encrypted("inbox.recipient"), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("text", Encrypted("inbox.text"), nullable=False),
    Column("html", Encrypted("inbox.html"), nullable=False),
    Column("arrived_at", Moment, nullable=False),
)

_ADD = insert(inbox)
NEWEST = select(inbox).order_by(inbox.c.id.desc()).limit(200)
ONE = select(inbox).where(inbox.c.id == bindparam("id"))


class Inbox:
    """A gateway that keeps what it is given."""

    way = "inbox"

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def send(self, message: Outgoing) -> str:
        with db.writing():
            db.execute(
                _ADD,
                {
                    "message_id": message.id,
                    "channel": self.channel,
                    "recipient": message.recipient,
                    "subject": message.subject,
                    "text": message.text,
                    "html": message.html,
                    "arrived_at": clock.now(),
                },
            )
            db.commit()
        return message.id

    def close(self) -> None:
        """Nothing is kept open."""
