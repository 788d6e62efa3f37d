"""The evidence for programs and for the files; docs/evidence.md says what each key means."""

from dataclasses import asdict
from datetime import datetime

from portal import clock
from portal.verification.evidence import Evidence
from portal.verification.verification import Verification


def written(seen: Evidence) -> dict[str, object]:
    """The evidence as it is written in JSON: texts, numbers, lists; moments with their zone."""
    one, found = seen.verification, seen.organisation
    return {
        "made_at": clock.now().isoformat(),
        "verification": _written(one, seen) | {"taken_at": _iso(one.taken_at)},
        "organisation": {
            "id": found.id,
            "status": found.status,
            "status_since": _iso(found.status_since),
            "secure_networks": [str(each) for each in found.networks],
            "networks_changed_at": _iso(seen.networks_changed and seen.networks_changed.at),
        },
        "record": {
            "id": seen.record.id,
            "made_at": _iso(seen.record.made_at),
            "fields": asdict(seen.record.details),
        },
        "changes": {
            "since_record": seen.before.id if seen.before else None,
            "fields": [each._asdict() for each in seen.changes],
            "is_another_person": seen.is_another_person,
            "is_administrators_email": seen.is_administrators_email,
        },
        "contacts": [
            asdict(each) | {"confirmed_at": _iso(each.confirmed_at)} for each in seen.contacts
        ],
        "confirmations": [
            {
                "id": each.id,
                "requested_at": _iso(each.requested_at),
                "requested_by": each.requested_by._asdict(),
                "standing": each.standing,
                "ended_at": _iso(each.ended_at),
                "messages": [
                    message._asdict()
                    | {
                        "posted_at": _iso(message.posted_at),
                        "settled_at": _iso(message.settled_at),
                    }
                    for message in each.messages
                ],
            }
            for each in seen.requests
        ],
        "reports": [
            {
                "at": _iso(each.at),
                "corrections": [
                    {"field": row.field, "old": row.old, "new": row.new}
                    for row in each.report.corrections
                ],
                "comment": each.report.comment,
            }
            for each in seen.reports
        ],
        "journal": {
            "chain": found.chain,
            "lines": seen.lines,
            "is_whole": seen.broken_line is None,
            "first_broken_line": seen.broken_line.number if seen.broken_line else None,
        },
        "earlier": [_written(each, seen) for each in seen.earlier],
    }


def _written(one: Verification, seen: Evidence) -> dict[str, object]:
    specialist = seen.people[one.specialist_id] if one.specialist_id else None
    return {
        "id": one.id,
        "record_id": one.record_id,
        "submitted_at": _iso(one.submitted_at),
        "submitted_by": seen.people[one.submitted_by]._asdict(),
        "specialist": specialist and specialist._asdict(),
        "ended_at": _iso(one.ended_at),
        "outcome": one.outcome,
        "remarks": [
            {"field": field or None, "remark": remark} for field, remark in one.remarks.items()
        ],
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
