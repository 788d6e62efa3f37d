"""What is posted with a request for later: reminders, and that nobody answered.

All of it waits in the outbox, and is withdrawn when the request ends (`course.end`). So nothing has
to look for requests that grow old. Each is due in working hours (portal/workdays.py).
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from portal import outbox, workdays
from portal.organisation import Organisation

AFTER_WORKDAYS = 2  # since the letter
BEFORE_WORKDAYS = 1  # until the link ends


def remind(
    id: str, organisation: Organisation, token: str, posted_at: datetime, expires_at: datetime
) -> None:
    """Post what follows a request's letter while nobody answers.

    To the responsible person reminders with the same link, to the administrator that it ended.
    """
    # However late the worker is, none leaves with the next one, or after the link ended.
    for moment, end in pairwise([*_reminded_at(posted_at, expires_at), expires_at]):
        outbox.post(
            "email",
            "reminder",
            organisation.details.email,
            organisation.id,
            about=id,
            not_before=moment,
            worth_until=end,
            id=organisation.id,
            name=organisation.details.short_name,
            person=organisation.details.full_name,
            token=token,
            until=expires_at.isoformat(),
            administrator=organisation.administrator_email,
        )
    outbox.post(
        "email",
        "unanswered",
        organisation.administrator_email,
        organisation.id,
        about=id,
        not_before=workdays.next_working_moment(expires_at),
        id=organisation.id,
        name=organisation.details.short_name,
        person=organisation.details.full_name,
        at=expires_at.isoformat(),
    )


def _reminded_at(posted_at: datetime, expires_at: datetime) -> Iterator[datetime]:
    """When the person is reminded: never after the link ended, never twice in a working day.

    The letter itself counts, too: a link of a day gets no reminder, one of two days or three gets
    one.
    """
    last = posted_at
    for moment in (
        workdays.add_workdays(posted_at, AFTER_WORKDAYS),
        workdays.workdays_before(expires_at, BEFORE_WORKDAYS),
    ):
        if workdays.add_workdays(last, 1) <= moment < expires_at:
            yield moment
            last = moment
