"""The person says that the data is wrong: the request ends, the administrator is told."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from portal.confirmation.confirmation import Confirmation, Standing
from portal.confirmation.course import end, write
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.organisation import ORGANISATION_FIELDS, PERSON_FIELDS

_KEEP = (
    update(confirmations)
    .where(confirmations.c.id == bindparam("of"))
    .values(report=bindparam("what"))
)
_KEPT = select(confirmations.c.report).where(confirmations.c.id == bindparam("of"))
_BETWEEN = (
    select(confirmations.c.ended_at, confirmations.c.report)
    .where(
        confirmations.c.organisation_id == bindparam("of"),
        confirmations.c.report.is_not(None),
        confirmations.c.ended_at > bindparam("since"),
        confirmations.c.ended_at <= bindparam("until"),
    )
    .order_by(confirmations.c.ended_at.desc())
)


class Correction(NamedTuple):
    """A value that is wrong, and what it should be; empty where only the comment says it."""

    field: str
    label: str
    old: str
    new: str


class Report(NamedTuple):
    """What the person said is wrong."""

    corrections: list[Correction]
    comment: str


class Dated(NamedTuple):
    """A report, and when it was sent."""

    at: datetime
    report: Report


def report(
    confirmation: Confirmation, proposed: Mapping[str, str], comment: str, address: object
) -> None:
    """End the request because the data is wrong.

    `proposed` maps the name of a wrong field to its right value, or to "". Raises NotOpenError.
    """
    confirmation.must_be_open()
    labels = ORGANISATION_FIELDS | PERSON_FIELDS
    corrections = [
        Correction(name, labels[name], getattr(confirmation.details, name), proposed[name])
        for name in labels
        if name in proposed
    ]
    what = {"corrections": [correction._asdict() for correction in corrections], "comment": comment}
    db.execute(_KEEP, {"of": confirmation.id, "what": json.dumps(what, ensure_ascii=False)})
    if end(confirmation.id, confirmation.chain, Standing.REPORTED, "responsible", address):
        write(
            "reported",
            confirmation.administrator_email,
            confirmation.organisation_id,
            confirmation.details,
            about=confirmation.id,
            **what,
        )


def reported(request_id: str) -> Report | None:
    """What the person said is wrong, if a request ended by that."""
    kept = db.scalar(_KEPT, of=request_id)
    return None if kept is None else _read(kept)


def reports_between(organisation_id: str, since: datetime, until: datetime) -> list[Dated]:
    """What the responsible persons said is wrong after one moment and by another, newest first."""
    rows = db.all(_BETWEEN, of=organisation_id, since=since, until=until)
    return [Dated(row.ended_at, _read(row.report)) for row in rows]


def _read(kept: str) -> Report:
    what = json.loads(kept)
    return Report([Correction(**each) for each in what["corrections"]], what["comment"])
