"""A confirmation: one request of an administrator, and what came of it.

    open ─both contacts confirmed→ completed
    open ─the person found an error→ reported
    open ─a newer request→ retired
    open ─the record changed→ changed
    open ─the administrator took it back→ cancelled

Time is not a move: an overdue request is computed from `expires_at`. And a request points at the
record that was shown: once the organisation points at another one it takes no action any more,
even before it is ended. So nobody confirms what they have not seen.
"""

from portal.confirmation.code import (
    Answer,
    Judgement,
    enter_code,
    next_code,
    request_code,
    send_code_again,
)
from portal.confirmation.confirmation import (
    IS_ASKED,
    IS_CONFIRMED,
    IS_REPORTED,
    Code,
    Confirmation,
    EmailLink,
    NotOpenError,
    Standing,
    Wait,
    begin_step,
    find,
    find_by_email_link,
    hold,
)
from portal.confirmation.course import (
    Proof,
    end_outdated,
    proofs_of,
    proved,
    request,
    unconfirmed_organisations,
    write,
)
from portal.confirmation.email_link import (
    follow_email_link,
    request_email_link,
    send_email_link,
)
from portal.confirmation.report import Correction, Dated, Report, report, reported, reports_between
from portal.confirmation.requests import (
    Letter,
    Progress,
    Request,
    cancel,
    last_request,
    may_request_at,
    progress_of,
)

__all__ = [
    "IS_ASKED",
    "IS_CONFIRMED",
    "IS_REPORTED",
    "Answer",
    "Code",
    "Confirmation",
    "Correction",
    "Dated",
    "EmailLink",
    "Judgement",
    "Letter",
    "NotOpenError",
    "Progress",
    "Proof",
    "Report",
    "Request",
    "Standing",
    "Wait",
    "begin_step",
    "cancel",
    "end_outdated",
    "enter_code",
    "find",
    "find_by_email_link",
    "follow_email_link",
    "hold",
    "last_request",
    "may_request_at",
    "next_code",
    "progress_of",
    "proofs_of",
    "proved",
    "report",
    "reported",
    "reports_between",
    "request",
    "request_code",
    "request_email_link",
    "send_code_again",
    "send_email_link",
    "unconfirmed_organisations",
    "write",
]
