"""Leaving messages for the worker, and taking them back."""

import json
from datetime import datetime

from sqlalchemy import LargeBinary, bindparam, case, func, insert, or_, select, type_coerce, update

from portal import clock, keys, proofs
from portal.database import db
from portal.gateways import Reason
from portal.outbox.tables import HAS_AN_END, PERSONS, messages

_ADD = insert(messages)
_WAITS = messages.c.due_at.is_not(None)
# What failed before stays failed; only its words go, so that it is not sent again either.
TAKE_BACK = (
    update(messages)
    .where(or_(_WAITS, HAS_AN_END))
    .values(
        due_at=None,
        words=None,
        worth_until=None,
        failed_at=func.coalesce(
            messages.c.failed_at, bindparam("now", type_=messages.c.due_at.type)
        ),
        trouble=case((_WAITS, Reason.WITHDRAWN), else_=messages.c.trouble),
    )
)
_WITHDRAW = TAKE_BACK.where(messages.c.id == bindparam("of"))
_WITHDRAW_ALL = TAKE_BACK.where(messages.c.about == bindparam("of"))
_READDRESS = (
    update(messages)
    .where(
        messages.c.organisation_id == bindparam("of"),
        or_(_WAITS, HAS_AN_END),
        *(messages.c.letter != each for each in sorted(PERSONS)),
    )
    .values(recipient=bindparam("to"))
)
_KEPT_WORDS = select(
    messages.c.id, type_coerce(messages.c.words, LargeBinary).label("words")
).where(messages.c.about == bindparam("of"), messages.c.words.is_not(None))
_REWORD = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.words.is_not(None))
    .values(words=bindparam("said"))
)


def post(
    channel: str,
    letter: str,
    recipient: str,
    organisation_id: str | None = None,
    *,
    account_id: str | None = None,
    about: str | None = None,
    not_before: datetime | None = None,
    useful_until: datetime | None = None,
    worth_until: datetime | None = None,
    **words: object,
) -> str:
    """Leave a message for the worker, in the running transaction; returns its id.

    `letter` names the templates `letters/<letter>.txt` and `.html`, or `sms/<letter>.txt`, and
    `words` is what they speak of: strings, numbers and lists of them. It tells of an organisation
    or of an account, or is for nobody. `about` is the id of the request or case that it serves,
    with which it can be withdrawn. It waits for `not_before`; with `useful_until` it is tried
    urgently until then, and never after. With `worth_until` it is tried patiently, and never after
    either. A word `until` is the end of what the message is about: if it failed, it is not sent
    again after that.
    """
    now, id = clock.now(), proofs.new_public_id()
    due_at = max(now, not_before or now)
    db.execute(
        _ADD,
        {
            "id": id,
            "organisation_id": organisation_id,
            "account_id": account_id,
            "about": about,
            "channel": channel,
            "letter": letter,
            "recipient": recipient,
            "words": json.dumps(words, ensure_ascii=False),
            "posted_at": due_at,
            "useful_until": useful_until,
            "worth_until": worth_until,
            "due_at": due_at,
        },
    )
    if due_at == now:
        db.tell(topic_of(channel))
    return id


def topic_of(channel: str) -> str:
    """By what name the workers of a channel are woken."""
    return f"portal_{channel}"


def withdraw(id: str) -> None:
    """Do not send a message that did not leave yet: a newer one takes its place."""
    db.execute(_WITHDRAW, {"of": id, "now": clock.now()})


def withdraw_all(about: str) -> None:
    """Do not send what did not leave yet of all that serves a request."""
    db.execute(_WITHDRAW_ALL, {"of": about, "now": clock.now()})


def readdress(organisation_id: str, recipient: str) -> None:
    """Send what may still leave for an organisation's administrator to this address.

    Who was its administrator once is told no more, what failed and is sent again included.
    """
    db.execute(_READDRESS, {"of": organisation_id, "to": recipient})


def reword(about: str, **words: str) -> None:
    """Change words in all that serves a request and may still leave, where they are said."""
    for row in db.all(_KEPT_WORDS, of=about):
        try:
            said = json.loads(keys.decrypt(row.words, "messages.words"))
        except keys.UnreadableError:  # nobody can send it either
            continue
        new = said | {name: word for name, word in words.items() if name in said}
        if new != said:
            db.execute(_REWORD, {"of": row.id, "said": json.dumps(new, ensure_ascii=False)})
