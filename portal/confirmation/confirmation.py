"""What a request to confirm is: its standing, its code, its link; and how it is found."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select, and_, bindparam, exists, func, select

from portal import clock, config, journal, outbox
from portal.config import Network
from portal.confirmation.tables import codes, confirmations, email_links, proofs
from portal.database import db
from portal.networks import parse_networks
from portal.organisation import Details, organisations, records
from portal.version import version_of


class Standing(StrEnum):
    """Where a request stands now. All but `expired` are stored."""

    OPEN = "open"
    COMPLETED = "completed"
    REPORTED = "reported"
    RETIRED = "retired"
    CHANGED = "changed"
    CANCELLED = "cancelled"  # the administrator took it back
    EXPIRED = "expired"


def standing_of(state: Standing, expires_at: datetime, *, is_current: bool) -> Standing:
    """Where a request stands that is stored as `state`; `is_current`: its record still counts."""
    if state is not Standing.OPEN:
        return state
    if not is_current:
        return Standing.CHANGED
    return Standing.EXPIRED if clock.now() >= expires_at else Standing.OPEN


class NotOpenError(Exception):
    """The request takes no action any more; its standing says why."""


class Wait(NamedTuple):
    """Nothing was sent: not before `until`. `paused` if too many wrong codes are the reason."""

    until: datetime
    paused: bool = False


class Code(NamedTuple):
    """The newest code sent to the phone."""

    id: int
    seal: bytes
    ordinal: int
    posted_at: datetime
    expires_at: datetime
    again_at: datetime
    tries: int
    used_at: datetime | None
    message_id: str
    delivery: outbox.State
    trouble: str | None

    @property
    def tries_left(self) -> int:
        return max(0, config.settings.tries_per_code - self.tries)

    @property
    def is_live(self) -> bool:
        return not self.used_at and self.tries_left > 0 and clock.now() < self.expires_at


class EmailLink(NamedTuple):
    """The newest link sent to the address."""

    id: str
    posted_at: datetime
    expires_at: datetime
    again_at: datetime
    used_at: datetime | None
    message_id: str
    delivery: outbox.State
    trouble: str | None

    @property
    def is_live(self) -> bool:
        return not self.used_at and clock.now() < self.expires_at


Sent = TypeVar("Sent", Code, EmailLink)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A request, with all that its page says; one row of one statement."""

    id: str
    organisation_id: str
    administrator_email: str
    networks: tuple[Network, ...]
    record_id: int
    current_record_id: int
    person: str
    details: Details
    phone_fingerprint: bytes
    email_fingerprint: bytes
    state: Standing
    expires_at: datetime
    paused_until: datetime | None
    phone_confirmed_at: datetime | None
    email_confirmed_at: datetime | None
    code: Code | None
    email_link: EmailLink | None

    @property
    def standing(self) -> Standing:
        return standing_of(self.state, self.expires_at, is_current=self.is_current)

    @property
    def is_current(self) -> bool:
        """Whether the record that was shown is still the organisation's."""
        return self.record_id == self.current_record_id

    @property
    def is_open(self) -> bool:
        return self.standing is Standing.OPEN

    @property
    def pause_ends_at(self) -> datetime | None:
        """Until when no code is sent or taken, because too many were wrong."""
        return self.paused_until if self.paused_until and clock.now() < self.paused_until else None

    @property
    def next_contact(self) -> str | None:
        """What is confirmed next: the phone comes first, unless no code is taken now."""
        if self.email_confirmed_at:
            return None if self.phone_confirmed_at else "phone"
        return "email" if self.phone_confirmed_at or self.pause_ends_at else "phone"

    @property
    def awaits_code(self) -> bool:
        return (
            self.is_open and not self.phone_confirmed_at and bool(self.code and self.code.is_live)
        )

    @property
    def awaits_email_link(self) -> bool:
        return (
            self.is_open
            and not self.email_confirmed_at
            and bool(self.email_link and self.email_link.is_live)
        )

    @property
    def version(self) -> str:
        """A short word that changes whenever the page would read differently."""
        code, link = self.code, self.email_link
        seen: list[object] = [
            self.standing,
            self.phone_confirmed_at is not None,
            self.email_confirmed_at is not None,
            self.pause_ends_at is not None,
        ]
        if code:
            seen += [code.id, code.tries, code.is_live, code.delivery]
        if link:
            seen += [link.id, link.is_live, link.delivery]
        return version_of(*seen)

    @property
    def chain(self) -> str:
        return journal.of_organisation(self.organisation_id)

    def must_be_open(self) -> None:
        """Raise NotOpenError unless the request may still be acted on."""
        if not self.is_open:
            raise NotOpenError(self.standing)


_CODE_MESSAGE = outbox.messages.alias("code_message")
_LINK_MESSAGE = outbox.messages.alias("link_message")
_PHONE_PROOF = proofs.alias("phone_proof")
_EMAIL_PROOF = proofs.alias("email_proof")


def proof_of(proof: Any, kind: str, fingerprint: Any) -> Any:
    """Where a row of proofs is of the record's person and value."""
    return and_(
        proof.c.organisation_id == records.c.organisation_id,
        proof.c.person == records.c.person,
        proof.c.kind == kind,
        proof.c.fingerprint == fingerprint,
    )


# Whether both contacts of an organisation's record are confirmed.
IS_CONFIRMED = exists(
    select(records.c.id)
    .join(_PHONE_PROOF, proof_of(_PHONE_PROOF, "phone", records.c.phone_fingerprint))
    .join(_EMAIL_PROOF, proof_of(_EMAIL_PROOF, "email", records.c.email_fingerprint))
    .where(records.c.id == organisations.c.record_id)
    .correlate(organisations)
)
_ASKED = confirmations.alias("asked")
# Whether a request of an organisation is in force at a moment, `now`.
IS_ASKED = exists(
    select(_ASKED.c.id)
    .where(
        _ASKED.c.organisation_id == organisations.c.id,
        _ASKED.c.record_id == organisations.c.record_id,
        _ASKED.c.state == Standing.OPEN,
        _ASKED.c.expires_at > bindparam("now"),
    )
    .correlate(organisations)
)
_REPORTED = confirmations.alias("reported")
_LATER = confirmations.alias("later")
# Whether the last request of an organisation ended by a report that its record is wrong.
IS_REPORTED = exists(
    select(_REPORTED.c.id)
    .where(
        _REPORTED.c.organisation_id == organisations.c.id,
        _REPORTED.c.record_id == organisations.c.record_id,
        _REPORTED.c.state == Standing.REPORTED,
        ~exists(
            select(_LATER.c.id).where(
                _LATER.c.organisation_id == _REPORTED.c.organisation_id,
                _LATER.c.requested_at > _REPORTED.c.requested_at,
            )
        ),
    )
    .correlate(organisations)
)

_NEWEST_CODE = (
    select(func.max(codes.c.id))
    .where(codes.c.confirmation_id == confirmations.c.id)
    .correlate(confirmations)
    .scalar_subquery()
)
_NEWEST_LINK = (
    select(email_links.c.id)
    .where(email_links.c.confirmation_id == confirmations.c.id)
    .order_by(email_links.c.posted_at.desc())
    .limit(1)
    .correlate(confirmations)
    .scalar_subquery()
)

_SEEN: Select[Any] = (
    select(
        confirmations.c.id,
        confirmations.c.organisation_id,
        confirmations.c.record_id,
        confirmations.c.state,
        confirmations.c.expires_at,
        confirmations.c.paused_until,
        organisations.c.administrator_email,
        organisations.c.networks,
        organisations.c.record_id.label("current_record_id"),
        records.c.person,
        records.c.details,
        records.c.phone_fingerprint,
        records.c.email_fingerprint,
        _PHONE_PROOF.c.confirmed_at.label("phone_confirmed_at"),
        _EMAIL_PROOF.c.confirmed_at.label("email_confirmed_at"),
        codes.c.id.label("code_id"),
        codes.c.seal.label("code_seal"),
        codes.c.ordinal.label("code_ordinal"),
        codes.c.posted_at.label("code_posted_at"),
        codes.c.expires_at.label("code_expires_at"),
        codes.c.again_at.label("code_again_at"),
        codes.c.tries.label("code_tries"),
        codes.c.used_at.label("code_used_at"),
        codes.c.message_id.label("code_message_id"),
        _CODE_MESSAGE.c.delivered_at.label("code_delivered_at"),
        _CODE_MESSAGE.c.failed_at.label("code_failed_at"),
        _CODE_MESSAGE.c.trouble.label("code_trouble"),
        _CODE_MESSAGE.c.received_at.label("code_received_at"),
        _CODE_MESSAGE.c.lost_at.label("code_lost_at"),
        email_links.c.id.label("link_id"),
        email_links.c.posted_at.label("link_posted_at"),
        email_links.c.expires_at.label("link_expires_at"),
        email_links.c.again_at.label("link_again_at"),
        email_links.c.used_at.label("link_used_at"),
        email_links.c.message_id.label("link_message_id"),
        _LINK_MESSAGE.c.delivered_at.label("link_delivered_at"),
        _LINK_MESSAGE.c.failed_at.label("link_failed_at"),
        _LINK_MESSAGE.c.trouble.label("link_trouble"),
    )
    .join(organisations, organisations.c.id == confirmations.c.organisation_id)
    .join(records, records.c.id == confirmations.c.record_id)
    .outerjoin(_PHONE_PROOF, proof_of(_PHONE_PROOF, "phone", records.c.phone_fingerprint))
    .outerjoin(_EMAIL_PROOF, proof_of(_EMAIL_PROOF, "email", records.c.email_fingerprint))
    .outerjoin(codes, codes.c.id == _NEWEST_CODE)
    .outerjoin(_CODE_MESSAGE, _CODE_MESSAGE.c.id == codes.c.message_id)
    .outerjoin(email_links, email_links.c.id == _NEWEST_LINK)
    .outerjoin(_LINK_MESSAGE, _LINK_MESSAGE.c.id == email_links.c.message_id)
)
_BY_ID = _SEEN.where(confirmations.c.id == bindparam("of"))
_OF_LINK = (
    select(email_links.c.confirmation_id)
    .where(email_links.c.id == bindparam("of"))
    .scalar_subquery()
)
_BY_LINK = _SEEN.where(confirmations.c.id == _OF_LINK)
_HELD = (
    select(confirmations.c.organisation_id)
    .where(confirmations.c.id == bindparam("of"))
    .with_for_update()
)
_HELD_BY_LINK = (
    select(confirmations.c.organisation_id).where(confirmations.c.id == _OF_LINK).with_for_update()
)


def begin_step(id: str = "", link_id: str = "") -> None:
    """Begin a transaction for a step on the request of that id, or that a second link belongs to.

    Shared, so that persons of different organisations never overtake each other. Within one, steps
    on a request wait for each other here. Everything else that changes what a step rests on, or
    rests on what a step changes, adds a line to the organisation's chain, as the step does, so that
    the second of them is overtaken; or it holds the request.
    """
    db.begin(writes=True, shared=True)
    organisation_id = hold(id) if id else db.scalar(_HELD_BY_LINK, of=link_id)
    if organisation_id:
        journal.look_at_end(journal.of_organisation(organisation_id))


def hold(id: str) -> str | None:
    """Let nobody take a step on a request until this transaction ends; the id of its organisation.

    Raises Overtaken where the request was ended since the transaction began to read.
    """
    organisation_id: str | None = db.scalar(_HELD, of=id)
    return organisation_id


def find(id: str) -> Confirmation | None:
    """The request of that id."""
    row = db.one(_BY_ID, of=id)
    return row and _read(row)


def find_by_email_link(link_id: str) -> Confirmation | None:
    """The request that a second link belongs to, whether or not the link still works."""
    row = db.one(_BY_LINK, of=link_id)
    return row and _read(row)


def _read(row: Any) -> Confirmation:
    return Confirmation(
        id=row.id,
        organisation_id=row.organisation_id,
        administrator_email=row.administrator_email,
        networks=parse_networks(row.networks),
        record_id=row.record_id,
        current_record_id=row.current_record_id,
        person=row.person,
        details=Details.read(row.details),
        phone_fingerprint=row.phone_fingerprint,
        email_fingerprint=row.email_fingerprint,
        state=Standing(row.state),
        expires_at=row.expires_at,
        paused_until=row.paused_until,
        phone_confirmed_at=row.phone_confirmed_at,
        email_confirmed_at=row.email_confirmed_at,
        code=_read_sent(Code, "code", row) if row.code_id else None,
        email_link=_read_sent(EmailLink, "link", row) if row.link_id else None,
    )


def _read_sent(kind: type[Sent], prefix: str, row: Any) -> Sent:
    """A code or a link, out of the columns that begin with its name."""
    values = {name: getattr(row, f"{prefix}_{name}") for name in kind._fields if name != "delivery"}
    delivery = outbox.state_of(
        getattr(row, f"{prefix}_delivered_at"),
        getattr(row, f"{prefix}_failed_at"),
        getattr(row, f"{prefix}_trouble"),
        getattr(row, f"{prefix}_received_at", None),  # of an SMS; nobody says it of a letter
        getattr(row, f"{prefix}_lost_at", None),
    )
    return kind(**values, delivery=delivery)
