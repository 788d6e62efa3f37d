"""Messages that never left, made without waiting for four hours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from portal import clock, outbox
from portal.database import db
from portal.gateways import Reason
from tests.conftest import ADMINISTRATOR, LOMOVA

WORDS: dict[str, Any] = {"id": "ORG-004217", "name": "Тракт", "person": LOMOVA.full_name}
WEEK = timedelta(days=7)


def undelivered(
    letter: str = "completed",
    reason: Reason = Reason.GIVEN_UP,
    *,
    to: str = ADMINISTRATOR,
    channel: str = "email",
    organisation_id: str | None = "ORG-004217",
    account_id: str | None = None,
    about: str | None = None,
    kept: timedelta | None = WEEK,
    **words: object,
) -> str:
    """Post a message and have it fail for good; returns its id."""
    said: dict[str, Any] = WORDS | {"at": clock.now().isoformat()} | words
    with db.writing():
        id = outbox.post(
            channel, letter, to, organisation_id, account_id=account_id, about=about, **said
        )
        fail(id, reason, kept=kept)
        db.commit()
    return id


def fail(id: str, reason: Reason, *, kept: timedelta | None = WEEK) -> None:
    """Have a message fail that is there, in the running transaction."""
    rows, now = outbox.messages, clock.now()
    ending: dict[str, Any] = {"due_at": None, "failed_at": now, "trouble": reason}
    ending |= {"worth_until": now + kept} if kept else {"words": None}
    assert db.changed(rows.update().where(rows.c.id == id).values(ending))
