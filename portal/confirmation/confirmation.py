"""What a request to confirm is, how it is found, and how it begins and ends."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, bindparam, func, insert, or_, select, update

from portal import clock, config, journal, outbox
from portal import proofs as signed
from portal.config import Network
from portal.confirmation.tables import codes, confirmations, email_links, proofs
from portal.database import db
from portal.networks import parse_networks
from portal.organisation import Details, Organisation, organisations, records

LINK = "confirmation"  # the purpose that the letter's link is signed for


class Standing(StrEnum):
    """Where a request stands now. The first five are stored, the others computed."""

    OPEN = "open"
    COMPLETED = "completed"
    REPORTED = "reported"
    RETIRED = "retired"
    CANCELLED = "cancelled"
    CHANGED = "changed"
    EXPIRED = "expired"


MOVES = {
    Standing.OPEN: {
        Standing.COMPLETED,
        Standing.REPORTED,
        Standing.RETIRED,
        Standing.CANCELLED,
    },
    Standing.COMPLETED: set(),
    Standing.REPORTED: set(),
    Standing.RETIRED: set(),
    Standing.CANCELLED: set(),
}


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
    ended_at: datetime | None
    wrong_codes: int
    paused_until: datetime | None
    phone_confirmed_at: datetime | None
    email_confirmed_at: datetime | None
    code: Code | None
    email_link: EmailLink | None
    report: str | None

    @property
    def standing(self) -> Standing:
        if self.state is not Standing.OPEN:
            return self.state
        if self.record_id != self.current_record_id:
            return Standing.CHANGED
        return Standing.EXPIRED if clock.now() >= self.expires_at else Standing.OPEN

    @property
    def is_open(self) -> bool:
        return self.standing is Standing.OPEN

    @property
    def pause_ends_at(self) -> datetime | None:
        """Until when no code is sent or taken, because too many were wrong."""
        return self.paused_until if self.paused_until and clock.now() < self.paused_until else None

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
        return f"{zlib.crc32(' '.join(map(str, seen)).encode()):08x}"

    @property
    def chain(self) -> str:
        return f"organisation:{self.organisation_id}"

    def must_be_open(self) -> None:
        """Raise NotOpenError unless the request may still be acted on."""
        if not self.is_open:
            raise NotOpenError(self.standing)


_CODE_MESSAGE = outbox.messages.alias("code_message")
_LINK_MESSAGE = outbox.messages.alias("link_message")
_PHONE_PROOF = proofs.alias("phone_proof")
_EMAIL_PROOF = proofs.alias("email_proof")


def _proof_of(proof: Any, kind: str, fingerprint: Any) -> Any:
    return and_(
        proof.c.organisation_id == records.c.organisation_id,
        proof.c.person == records.c.person,
        proof.c.kind == kind,
        proof.c.fingerprint == fingerprint,
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
        confirmations,
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
    .outerjoin(_PHONE_PROOF, _proof_of(_PHONE_PROOF, "phone", records.c.phone_fingerprint))
    .outerjoin(_EMAIL_PROOF, _proof_of(_EMAIL_PROOF, "email", records.c.email_fingerprint))
    .outerjoin(codes, codes.c.id == _NEWEST_CODE)
    .outerjoin(_CODE_MESSAGE, _CODE_MESSAGE.c.id == codes.c.message_id)
    .outerjoin(email_links, email_links.c.id == _NEWEST_LINK)
    .outerjoin(_LINK_MESSAGE, _LINK_MESSAGE.c.id == email_links.c.message_id)
)
_BY_ID = _SEEN.where(confirmations.c.id == bindparam("of"))
_BY_LINK = _SEEN.where(
    confirmations.c.id
    == select(email_links.c.confirmation_id)
    .where(email_links.c.id == bindparam("of"))
    .scalar_subquery()
)
_ADD = insert(confirmations)
_ADD_PROOF = insert(proofs)
_END = (
    update(confirmations)
    .where(confirmations.c.id == bindparam("of"), confirmations.c.state == Standing.OPEN)
    .values(state=bindparam("to"), ended_at=bindparam("now"))
)
_OPEN_OF = select(confirmations.c.id).where(
    confirmations.c.organisation_id == bindparam("organisation_id"),
    confirmations.c.state == Standing.OPEN,
)
_KINDS_PROVED = select(proofs.c.kind).where(
    proofs.c.organisation_id == bindparam("organisation_id"),
    proofs.c.person == bindparam("person"),
    proofs.c.fingerprint.in_([bindparam("phone"), bindparam("email")]),
)
_UNCONFIRMED = (
    select(organisations.c.id)
    .join(records, records.c.id == organisations.c.record_id)
    .outerjoin(_PHONE_PROOF, _proof_of(_PHONE_PROOF, "phone", records.c.phone_fingerprint))
    .outerjoin(_EMAIL_PROOF, _proof_of(_EMAIL_PROOF, "email", records.c.email_fingerprint))
    .outerjoin(
        confirmations,
        and_(
            confirmations.c.organisation_id == organisations.c.id,
            confirmations.c.state == Standing.OPEN,
            confirmations.c.record_id == organisations.c.record_id,
            confirmations.c.expires_at > bindparam("now"),
        ),
    )
    .where(
        or_(_PHONE_PROOF.c.id.is_(None), _EMAIL_PROOF.c.id.is_(None)),
        confirmations.c.id.is_(None),
    )
    .order_by(organisations.c.id)
)


def find(id: str) -> Confirmation | None:
    """The request of that id."""
    row = db.one(_BY_ID, of=id)
    return row and _read(row)


def find_by_email_link(link_id: str) -> Confirmation | None:
    """The request that a second link belongs to, whether or not the link still works."""
    row = db.one(_BY_LINK, of=link_id)
    return row and _read(row)


def request(organisation: Organisation, actor: str) -> str | None:
    """Ask the responsible person to confirm; returns the id of the request.

    Retires an older request, so its link stops working. What is confirmed stays confirmed. None,
    and nothing is sent, if both contacts are confirmed already.
    """
    if len(_kinds_proved(organisation)) == 2:
        return None
    for older in db.all(_OPEN_OF, organisation_id=organisation.id):
        end(older.id, f"organisation:{organisation.id}", Standing.RETIRED, actor)
    now, id = clock.now(), signed.new_public_id()
    expires_at = now + config.settings.link_lifetime
    letter_id = outbox.post(
        "email",
        "confirmation",
        organisation.details.email,
        organisation.id,
        about=id,
        token=signed.sign(LINK, id),
        until=expires_at.isoformat(),
        name=organisation.details.short_name or organisation.details.name,
        person=organisation.details.full_name,
        id=organisation.id,
        administrator=organisation.administrator_email,
    )
    db.execute(
        _ADD,
        {
            "id": id,
            "organisation_id": organisation.id,
            "record_id": organisation.record_id,
            "state": Standing.OPEN,
            "requested_at": now,
            "requested_by": actor,
            "expires_at": expires_at,
            "letter_id": letter_id,
        },
    )
    chain = f"organisation:{organisation.id}"
    journal.record(chain, "confirmation.requested", actor, message=letter_id)
    return id


def unconfirmed_organisations() -> list[str]:
    """IDs of organisations with a contact to confirm and no request in force."""
    return [row.id for row in db.all(_UNCONFIRMED, now=clock.now())]


def end(id: str, chain: str, to: Standing, actor: str, address: object = "") -> bool:
    """The one way a request ends; False if it had ended before."""
    assert to in MOVES[Standing.OPEN]
    if not db.changed(_END, of=id, to=to, now=clock.now()):
        return False
    outbox.withdraw_all(id)
    journal.record(chain, f"confirmation.{to}", actor, address, confirmation=id)
    return True


def prove(confirmation: Confirmation, kind: str, address: object) -> None:
    """Keep that the person answered at the phone or email, and end the request if that was all."""
    now = clock.now()
    db.execute(
        _ADD_PROOF,
        {
            "organisation_id": confirmation.organisation_id,
            "person": confirmation.person,
            "kind": kind,
            "fingerprint": getattr(confirmation, f"{kind}_fingerprint"),
            "value": getattr(confirmation.details, kind),
            "confirmation_id": confirmation.id,
            "address": str(address),
            "confirmed_at": now,
        },
    )
    journal.record(
        confirmation.chain,
        f"{kind}.confirmed",
        "responsible",
        address,
        confirmation=confirmation.id,
        record=confirmation.record_id,
    )
    other = confirmation.email_confirmed_at if kind == "phone" else confirmation.phone_confirmed_at
    if other and end(
        confirmation.id, confirmation.chain, Standing.COMPLETED, "responsible", address
    ):
        outbox.post(
            "email",
            "completed",
            confirmation.administrator_email,
            confirmation.organisation_id,
            name=confirmation.details.short_name or confirmation.details.name,
            person=confirmation.details.full_name,
            about=confirmation.id,
            id=confirmation.organisation_id,
            at=now.isoformat(),
        )


def _kinds_proved(organisation: Organisation) -> set[str]:
    rows = db.all(
        _KINDS_PROVED,
        organisation_id=organisation.id,
        person=organisation.person,
        phone=organisation.phone_fingerprint,
        email=organisation.email_fingerprint,
    )
    return {row.kind for row in rows}


def _read(row: Row[Any]) -> Confirmation:
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
        ended_at=row.ended_at,
        wrong_codes=row.wrong_codes,
        paused_until=row.paused_until,
        phone_confirmed_at=row.phone_confirmed_at,
        email_confirmed_at=row.email_confirmed_at,
        code=_read_code(row) if row.code_seal else None,
        email_link=_read_link(row) if row.link_id else None,
        report=row.report,
    )


def _read_code(row: Row[Any]) -> Code:
    return Code(
        id=row.code_id,
        seal=row.code_seal,
        ordinal=row.code_ordinal,
        posted_at=row.code_posted_at,
        expires_at=row.code_expires_at,
        again_at=row.code_again_at,
        tries=row.code_tries,
        used_at=row.code_used_at,
        message_id=row.code_message_id,
        delivery=outbox.state_of(row.code_delivered_at, row.code_failed_at, row.code_trouble),
        trouble=row.code_trouble,
    )


def _read_link(row: Row[Any]) -> EmailLink:
    return EmailLink(
        id=row.link_id,
        posted_at=row.link_posted_at,
        expires_at=row.link_expires_at,
        again_at=row.link_again_at,
        used_at=row.link_used_at,
        message_id=row.link_message_id,
        delivery=outbox.state_of(row.link_delivered_at, row.link_failed_at, row.link_trouble),
        trouble=row.link_trouble,
    )
