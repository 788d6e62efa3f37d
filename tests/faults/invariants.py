"""What has to be true after every fault: the database, the journal and the far ends compared."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from portal import journal, outbox
from portal.confirmation.code import PER_NUMBER
from portal.confirmation.tables import codes, confirmations, email_links, proofs
from portal.database import db
from tests.faults.house import House, id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from tests.faults.far_ends import Taken
    from tests.faults.person import Story

AWAY_AFTER = 60  # seconds after a fault in which people may be told that the portal is away
# Between the worker's look at its clock and ours there is a wire, and a machine that is busy.
ON_THE_WAY = timedelta(seconds=1)
TRIES_PER_CODE = 5
WRONG_IN_A_ROW = 10


@dataclass
class Figures:
    """What a scenario comes to. `broken` are sentences; all else is counted."""

    journeys: int = 0
    retries: int = 0
    kills: int = 0
    messages: int = 0
    taken_twice: int = 0  # with the same id, which is what the id is for
    lost: int = 0
    confirmed_twice: int = 0
    after_expiry: int = 0
    away: int = 0  # answers 502 and 503
    wrong_codes: int = 0
    broken: list[str] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)


def check(house: House, stories: Sequence[Story] = (), *, skew: float = 0) -> Figures:
    """Compare everything; nothing may be under way any more.

    `skew` is by how many seconds clocks of the house are apart.
    """
    found = Figures()
    with db.reading():
        rows = {row.id: row for row in db.all(select(*_columns()))}
        found.messages = len(rows)
        _check_journal(house, found)
        _check_messages(house, rows, found)
        _check_far_ends(house, rows, found, skew)
        _check_confirmations(found)
        _check_limits(rows, found, skew)
        _check_stories(stories, rows, found)
    _check_answers(house, stories, found)
    found.kills = sum(process.kills for process in house.processes)
    return found


def _columns() -> Iterable[Any]:
    return (each for each in outbox.messages.c if each.name not in {"recipient", "words"})


def _check_journal(house: House, found: Figures) -> None:
    line = journal.first_broken_line()
    if line:
        found.broken.append(f"the chain {line.chain} is broken at line {line.number}")
    if house.database_url.startswith("sqlite"):
        loose = db.all(text("PRAGMA foreign_key_check"))
        health = db.scalar(text("PRAGMA integrity_check"))
        if loose or health != "ok":
            found.broken.append(f"{len(loose)} rows refer to nothing; integrity: {health}")


def _check_messages(house: House, rows: dict[str, Any], found: Figures) -> None:
    """Each posted message was delivered, or failed with a reason."""
    soon = house.clock.now() + timedelta(minutes=10)
    for row in rows.values():
        if row.due_at and row.due_at > soon:
            continue  # it waits for its day
        if not row.delivered_at and not (row.failed_at and row.trouble):
            found.lost += 1
            found.broken.append(f"message {row.letter} {row.id} neither left nor failed")


def _check_far_ends(house: House, rows: dict[str, Any], found: Figures, skew: float) -> None:
    for channel, box in {"email": house.mailbox, "sms": house.phones}.items():
        times = Counter(each.id for each in box.taken)
        found.taken_twice += times.total() - len(times)
        found.broken += [f"the id {id} came with two texts" for id in box.spoiled]
        for id in times.keys() - rows.keys():
            found.broken.append(f"a message came that nobody posted: {id}")
        for row in rows.values():
            if row.channel == channel and row.delivered_at and row.id not in times:
                found.lost += 1
                found.broken.append(f"{row.letter} {row.id} is said to have left, and did not")
        late = [each for each in box.taken if _is_late(each, rows, skew)]
        found.after_expiry += len(late)
        found.broken += [f"a code left after its time: {each.id} at {each.at}" for each in late]


def _is_late(taken: Taken, rows: dict[str, Any], skew: float) -> bool:
    row = rows.get(taken.id)
    until: datetime | None = row and row.useful_until
    return until is not None and taken.at > until + ON_THE_WAY + timedelta(seconds=skew)


def _check_confirmations(found: Figures) -> None:
    """One proof for each contact, and no request that has both and goes on."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row in db.all(select(proofs.c.organisation_id, proofs.c.confirmation_id, proofs.c.kind)):
        kinds[row.confirmation_id][row.kind] += 1
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for row in db.all(select(journal.events.c.name, journal.events.c.details)):
        id = json.loads(row.details or "{}").get("confirmation")
        if id and row.name.endswith((".confirmed", ".completed")):
            told[id][row.name] += 1
    letters = Counter(
        row.about
        for row in db.all(
            select(outbox.messages.c.about).where(outbox.messages.c.letter == "completed")
        )
    )
    used = Counter(
        row.confirmation_id
        for row in db.all(select(codes.c.confirmation_id).where(codes.c.used_at.is_not(None)))
    )
    followed = Counter(
        row.confirmation_id
        for row in db.all(
            select(email_links.c.confirmation_id).where(email_links.c.used_at.is_not(None))
        )
    )
    for row in db.all(select(confirmations.c.id, confirmations.c.state)):
        has = kinds[row.id]
        is_whole = has.keys() == {"phone", "email"}
        events = {name: told[row.id][f"{name}.confirmed"] for name in ("phone", "email")}
        if max([*has.values(), *told[row.id].values(), letters[row.id]], default=0) > 1:
            found.confirmed_twice += 1
            found.broken.append(f"confirmed twice: {row.id} {has} {told[row.id]}")
        halves = {
            "a proof without its event": any(has[kind] != events[kind] for kind in events),
            "a code used without a proof": used[row.id] != has["phone"],
            "a link used without a proof": followed[row.id] != has["email"],
            "both proofs and still open": is_whole and row.state == "open",
            "completed without both proofs": row.state == "completed" and not is_whole,
            "no letter of the end": (row.state == "completed") != bool(letters[row.id]),
        }
        found.broken += [f"{what}: {row.id}" for what, is_so in halves.items() if is_so]


def _check_limits(rows: dict[str, Any], found: Figures, skew: float) -> None:
    """No limit of product.md was exceeded, however many pressed at once."""
    apart = timedelta(seconds=skew)
    sent: dict[str, list[Any]] = defaultdict(list)
    for row in db.all(select(*(each for each in codes.c if each.name != "seal"))):
        sent[row.confirmation_id].append(row)
    for id, several in sent.items():
        broken = _limits_of(sorted(several, key=lambda row: int(row.id)), rows, apart)
        found.broken += [f"{what}: {id}" for what in broken]
    for row in db.all(select(confirmations.c.id, confirmations.c.wrong_codes)):
        if row.wrong_codes >= WRONG_IN_A_ROW:
            found.broken.append(f"{row.wrong_codes} wrong codes in a row, and no pause: {row.id}")


def _limits_of(several: list[Any], rows: dict[str, Any], apart: timedelta) -> Iterator[str]:
    """What is wrong with the codes of one confirmation."""
    moments = [row.posted_at for row in several]
    if any(newer.posted_at < older.again_at - apart for older, newer in pairwise(several)):
        yield "a code was sent too soon"
    for limit in PER_NUMBER:
        apart_by = zip(moments, moments[limit.times :], strict=False)
        if any(last - first < limit.span - apart for first, last in apart_by):
            yield f"more than {limit.times} codes in {limit.span}"
    if any(row.tries > TRIES_PER_CODE for row in several):
        yield f"more tries than {TRIES_PER_CODE}"
    if any(row.used_at and row.used_at >= row.expires_at + apart for row in several):
        yield "a code was taken after its time"
    if any(row.message_id not in rows for row in several):
        yield "a code without a message"


def _check_stories(stories: Sequence[Story], rows: dict[str, Any], found: Figures) -> None:
    """Nothing that somebody was told is untrue."""
    proved = {
        (row.organisation_id, row.kind)
        for row in db.all(select(proofs.c.organisation_id, proofs.c.kind))
    }
    coded = {row.confirmation_id for row in db.all(select(codes.c.confirmation_id))}
    linked = {row.confirmation_id for row in db.all(select(email_links.c.confirmation_id))}
    states = {
        row.id: row.state for row in db.all(select(confirmations.c.id, confirmations.c.state))
    }
    for story in stories:
        id, organisation_id = story.confirmation_id, id_of(story.number)
        truths = {
            "phone": (organisation_id, "phone") in proved,
            "email": (organisation_id, "email") in proved,
            "code": id in coded,
            "link": id in linked,
            "completed": states.get(id) == "completed",
        }
        untrue = [what for what in sorted(story.told) if not truths[what]]
        if id not in states:
            untrue.append("requested")
        found.lost += len(untrue)
        found.broken += [f"told and not true: {what} of {id}" for what in untrue]
        if not story.is_done:
            found.broken.append(f"a journey did not end: {organisation_id} {story.statuses}")
        found.broken += story.broken
        found.journeys += story.is_done
        found.retries += story.retries
        found.wrong_codes += story.wrong


def _check_answers(house: House, stories: Sequence[Story], found: Figures) -> None:
    """Nobody is told that the portal is away when nothing was broken."""
    for story in stories:
        for moment, status in story.away:
            found.away += 1
            if not any(a <= moment <= b + AWAY_AFTER for a, b in house.troubles):
                found.broken.append(f"{status} though nothing was broken")
