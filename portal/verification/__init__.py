"""A verification: an administrator sent an organisation, a specialist says whether it is right.

    open ─the specialist→ verified, or returned with remarks
    open ─the record changed→ changed

What the organisation may do meanwhile is its status (`organisation.status`).
"""

from portal.verification.course import (
    LONGEST_REMARK,
    Sent,
    end_outdated,
    is_as_returned,
    may_decide,
    missing,
    release,
    returned,
    send_back,
    submit,
    take,
    verify,
)
from portal.verification.evidence import Evidence, evidence
from portal.verification.verification import (
    Outcome,
    Verification,
    find,
    last_one,
    last_ones,
    open_one,
    queue,
    verifications_of,
)
from portal.verification.written import written

__all__ = [
    "LONGEST_REMARK",
    "Evidence",
    "Outcome",
    "Sent",
    "Verification",
    "end_outdated",
    "evidence",
    "find",
    "is_as_returned",
    "last_one",
    "last_ones",
    "may_decide",
    "missing",
    "open_one",
    "queue",
    "release",
    "returned",
    "send_back",
    "submit",
    "take",
    "verifications_of",
    "verify",
    "written",
]
