"""A confirmation: one request of an administrator, and what came of it.

    open ─both contacts confirmed→ completed
    open ─the person found an error→ reported
    open ─a newer request→ retired
    open ─the record changed→ changed

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
    Code,
    Confirmation,
    EmailLink,
    NotOpenError,
    Standing,
    Wait,
    find,
    find_by_email_link,
)
from portal.confirmation.course import (
    end_outdated,
    open_request,
    request,
    unconfirmed_organisations,
)
from portal.confirmation.email_link import (
    follow_email_link,
    request_email_link,
    send_email_link,
)
from portal.confirmation.report import Correction, report

__all__ = [
    "Answer",
    "Code",
    "Confirmation",
    "Correction",
    "EmailLink",
    "Judgement",
    "NotOpenError",
    "Standing",
    "Wait",
    "end_outdated",
    "enter_code",
    "find",
    "find_by_email_link",
    "follow_email_link",
    "next_code",
    "open_request",
    "report",
    "request",
    "request_code",
    "request_email_link",
    "send_code_again",
    "send_email_link",
    "unconfirmed_organisations",
]
