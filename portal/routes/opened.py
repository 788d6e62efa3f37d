"""Which requests this browser has opened by a letter's link: the session knows their public ids."""

from flask import session

OPENED = "opened"  # the session's list of public ids, of requests and of second links
MOST_OPENED = 24  # of some organisations, each with second links


def is_opened(id: str = "", link_id: str = "") -> bool:
    """Whether the link to a request, or a second link, was opened here."""
    return (id or link_id) in session.get(OPENED, ())


def remember(id: str) -> None:
    """Keep that a link was opened; of many the latest."""
    opened = [each for each in session.get(OPENED, ()) if each != id]
    session[OPENED] = [*opened, id][-MOST_OPENED:]
