"""The person says that the data is wrong: the request ends, the administrator is told."""

import json
from collections.abc import Mapping
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
    if kept is None:
        return None
    what = json.loads(kept)
    return Report([Correction(**each) for each in what["corrections"]], what["comment"])
