"""An edit that has not taken effect yet: what an administrator typed, kept until it is applied.

Each administrator has a draft of their own for an organisation. It knows what the organisation said
when it began: if somebody changed that meanwhile, it is shown what, and nothing typed is lost.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from portal import checks, clock, journal, networks
from portal.database import db
from portal.language import mark as _
from portal.organisation.checks import check_networks
from portal.organisation.organisation import (
    Organisation,
    Outcome,
    find_record,
    fingerprints_after,
    save,
)
from portal.organisation.record import (
    FIELD_CHECKS,
    ORGANISATION_FIELDS,
    PERSON_FIELDS,
    Change,
    Details,
    compare,
    differences,
)
from portal.organisation.status import AFTER_A_CHANGE, Status
from portal.organisation.tables import drafts
from portal.version import version_of

# What stands beside the record: it ends no request and moves no status.
BESIDE_FIELDS = {
    "administrator_email": _("Email администратора для писем"),
    "networks": _("Собственные защищённые сети"),
}
EDITED_FIELDS = ORGANISATION_FIELDS | PERSON_FIELDS | BESIDE_FIELDS
EDITED_CHECKS = FIELD_CHECKS | {"administrator_email": checks.email, "networks": check_networks}
CHANGES = ("record.changed", "organisation.changed", f"organisation.{Status.VERIFIED}")
MOST_CHANGES = 50  # lines of the journal, read for who changed something meanwhile

_OWN = (
    drafts.c.organisation_id == bindparam("of"),
    drafts.c.account_id == bindparam("by"),
)
_FIND = select(drafts).where(*_OWN)
_FORGET = delete(drafts).where(*_OWN)
_ADD = insert(drafts)


class Start(NamedTuple):
    """What an edit began from: a record, and all that could be edited then."""

    record_id: int
    values: Mapping[str, str]  # by the names of EDITED_FIELDS, each in its one spelling

    def is_of(self, current: Organisation) -> bool:
        """Whether that is what the organisation says now."""
        return self == start_of(current)

    @property
    def version(self) -> str:
        """A short word that changes with anything of it."""
        return version_of(self.record_id, *(self.values[name] for name in EDITED_FIELDS))


@dataclass(frozen=True, slots=True, repr=False)  # personal data stays out of tracebacks
class Draft:
    """What an organisation is going to say, checked already."""

    organisation_id: str
    account_id: str
    began: Start
    values: Mapping[str, str]
    is_another_person: bool
    saved_at: datetime

    @property
    def details(self) -> Details:
        return details_in(self.values)

    @property
    def version(self) -> str:
        """Another word for each draft that was kept."""
        return self.saved_at.isoformat()

    def is_outdated(self, current: Organisation) -> bool:
        """Whether somebody changed the organisation after this edit began."""
        return not self.began.is_of(current)


class Clash(NamedTuple):
    """A value that somebody changed while another one was typed, or left as it was."""

    field: str
    before: str
    now: str
    typed: str

    @property
    def is_typed(self) -> bool:
        """Whether the draft changes it at all."""
        return self.typed != self.before


class Trace(NamedTuple):
    """When a value was changed last, and by whom."""

    at: datetime
    by: str


def start_of(found: Organisation) -> Start:
    """What an edit that begins now begins from."""
    beside = {
        "administrator_email": found.administrator_email,
        "networks": " ".join(map(str, found.networks)),
    }
    return Start(found.record_id, asdict(found.details) | beside)


def details_in(values: Mapping[str, str]) -> Details:
    """The record among all that is edited."""
    return Details(**{name: values[name] for name in FIELD_CHECKS})


def draft_of(organisation_id: str, account_id: str) -> Draft | None:
    """The edit that an administrator has not applied yet."""
    row = db.one(_FIND, of=organisation_id, by=account_id)
    if row is None:
        return None
    typed = json.loads(row.typed)
    return Draft(
        organisation_id=row.organisation_id,
        account_id=row.account_id,
        began=Start(row.record_id, typed["began"]),
        values=typed["values"],
        is_another_person=typed["is_another_person"],
        saved_at=row.saved_at,
    )


def keep_draft(
    organisation_id: str,
    account_id: str,
    began: Start,
    values: Mapping[str, str],
    *,
    is_another_person: bool,
) -> None:
    """Keep an edit in place of an earlier one; its values are checked already."""
    forget_draft(organisation_id, account_id)
    typed = {
        "began": dict(began.values),
        "values": dict(values),
        "is_another_person": is_another_person,
    }
    row = {
        "organisation_id": organisation_id,
        "account_id": account_id,
        "record_id": began.record_id,
        "typed": json.dumps(typed, ensure_ascii=False),
        "saved_at": clock.now(),
    }
    db.execute(_ADD, row)


def forget_draft(organisation_id: str, account_id: str) -> bool:
    """Throw an edit away; False if there was none."""
    return bool(db.changed(_FORGET, of=organisation_id, by=account_id))


def apply_draft(draft: Draft, address: object) -> Outcome:
    """Make the edit what the organisation says. Raises MovedError.

    The caller has shown what somebody else changed meanwhile (`is_outdated`), and ends what waits
    for the record that was: `confirmation.end_outdated`, `verification.end_outdated`.
    """
    outcome = save(
        draft.organisation_id,
        draft.details,
        draft.values["administrator_email"],
        draft.values["networks"],
        draft.account_id,
        address,
        is_another_person=draft.is_another_person,
    )
    forget_draft(draft.organisation_id, draft.account_id)
    return outcome


# What a draft comes to


def changes(draft: Draft, current: Organisation) -> list[Change]:
    """What applying a draft changes, in the order of the page."""
    now, after = start_of(current).values, draft.values
    beside = [
        Change(name, now[name], after[name]) for name in BESIDE_FIELDS if now[name] != after[name]
    ]
    return compare(current.details, draft.details) + beside


def preview(draft: Draft, current: Organisation) -> Organisation:
    """The organisation as it will be once a draft is applied.

    Of another person nothing is confirmed, so `person` is nobody yet; the record has no id.
    """
    after = replace(
        current,
        administrator_email=draft.values["administrator_email"],
        networks=networks.parse_networks(draft.values["networks"]),
    )
    if not changes_record(draft, current):
        return after
    phone, email = fingerprints_after(current, draft.details)
    return replace(
        after,
        record_id=0,
        status=AFTER_A_CHANGE[current.status],
        person="" if draft.is_another_person else current.person,
        details=draft.details,
        phone_fingerprint=phone,
        email_fingerprint=email,
    )


def changes_record(draft: Draft, current: Organisation) -> bool:
    """Whether a draft changes more than what stands beside the record."""
    return draft.is_another_person or bool(differences(current.details, draft.details))


# What somebody else changed meanwhile


def clashes(draft: Draft, current: Organisation) -> list[Clash]:
    """What somebody changed since a draft began, where the draft does not say the same."""
    before, now = draft.began.values, start_of(current).values
    return [
        Clash(name, before[name], now[name], draft.values[name])
        for name in EDITED_FIELDS
        if before[name] != now[name] != draft.values[name]
    ]


def merge(draft: Draft, current: Organisation, mine: Collection[str]) -> dict[str, str]:
    """The values of a draft on top of what is said now; of the clashes only those in `mine`."""
    given_up = {clash.field for clash in clashes(draft, current)} - set(mine)
    now = start_of(current).values
    return {name: now[name] if name in given_up else draft.values[name] for name in EDITED_FIELDS}


def person_after(draft: Draft, current: Organisation, values: Mapping[str, str]) -> bool | None:
    """Whether merged values mean another person; None where that has to be asked anew."""
    began = find_record(draft.began.record_id)
    assert began, "a draft keeps its record"
    details, is_mine = details_in(values), began.person == current.person
    if details.is_same_person(current.details):
        # The same name was meant for somebody else only if no other name was typed.
        return is_mine and draft.is_another_person and draft.details.is_same_person(began.details)
    return draft.is_another_person if is_mine else None


def traces(current: Organisation) -> dict[str, Trace]:
    """Who changed each field last, as far as the newest lines of the journal tell."""
    found: dict[str, Trace] = {}
    for line in journal.lines(current.chain, most=MOST_CHANGES, names=CHANGES):
        fields = line.details.get("fields", ())
        if line.details.get("old") == Status.EDITING:  # discarded: any of the record's fields
            fields = FIELD_CHECKS
        for name in fields:
            found.setdefault(name, Trace(line.at, line.actor))
    return found
