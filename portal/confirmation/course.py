"""How a request to confirm begins, what it gathers, and how it ends."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from portal import clock, config, journal, outbox
from portal import proofs as signed
from portal.confirmation import reminding
from portal.confirmation.confirmation import (
    IS_ASKED,
    IS_CONFIRMED,
    IS_REPORTED,
    Confirmation,
    Standing,
)
from portal.confirmation.tables import confirmations, proofs
from portal.database import db
from portal.organisation import CONTACTS, Details, Organisation, organisations

LINK = "confirmation"  # the purpose that the letter's link is signed for

ENDINGS = set(Standing) - {Standing.OPEN, Standing.EXPIRED}

_ADD = insert(confirmations)
_ADD_PROOF = insert(proofs)
_END = (
    update(confirmations)
    .where(confirmations.c.id == bindparam("of"), confirmations.c.state == Standing.OPEN)
    .values(state=bindparam("to"), ended_at=bindparam("now"))
)
_OPEN_OF = select(confirmations.c.id, confirmations.c.record_id).where(
    confirmations.c.organisation_id == bindparam("organisation_id"),
    confirmations.c.state == Standing.OPEN,
)
_PROOFS_OF = select(
    proofs.c.kind, proofs.c.confirmed_at, proofs.c.address, proofs.c.confirmation_id
).where(
    proofs.c.organisation_id == bindparam("organisation_id"),
    proofs.c.person == bindparam("person"),
    proofs.c.fingerprint.in_([bindparam("phone"), bindparam("email")]),
)
_UNCONFIRMED = (
    select(organisations.c.id)
    .where(~IS_CONFIRMED, ~IS_ASKED, ~IS_REPORTED)
    .order_by(organisations.c.id)
)


class Proof(NamedTuple):
    """That the responsible person answered at the phone or the email that is on record."""

    kind: str
    confirmed_at: datetime
    address: str
    confirmation_id: str


def request(organisation: Organisation, actor: str, address: object = "") -> str | None:
    """Ask the responsible person to confirm; returns the id of the request.

    Retires an older request, so its link stops working. What is confirmed stays confirmed. None,
    and nothing is sent, if both contacts are confirmed already.
    """
    missing = sorted(set(CONTACTS) - proved(organisation))
    if not missing:
        return None
    for older in db.all(_OPEN_OF, organisation_id=organisation.id):
        end(older.id, organisation.chain, Standing.RETIRED, actor, address)
    now, id = clock.now(), signed.new_public_id()
    expires_at, token = now + config.settings.link_lifetime, signed.sign(LINK, id)
    letter_id = write(
        "confirmation",
        organisation.details.email,
        organisation.id,
        organisation.details,
        about=id,
        token=token,
        until=expires_at.isoformat(),
        administrator=organisation.administrator_email,
        missing=missing,
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
    journal.record(organisation.chain, "confirmation.requested", actor, address, message=letter_id)
    reminding.remind(id, organisation, token, now, expires_at)
    return id


def end_outdated(organisation: Organisation, actor: str) -> None:
    """End the open request if the organisation's record is another one now.

    What it left in the post goes to nobody: the address may be what was wrong. Where only what
    stands beside the record changed, reminders that wait name who is the administrator now.
    """
    for older in db.all(_OPEN_OF, organisation_id=organisation.id):
        if older.record_id != organisation.record_id:
            end(older.id, organisation.chain, Standing.CHANGED, actor)
        else:
            outbox.reword(older.id, administrator=organisation.administrator_email)


def unconfirmed_organisations() -> list[str]:
    """IDs of organisations with a contact to confirm and no request in force.

    But those where somebody reported an error that nobody has mended: the record is known wrong.
    """
    return [row.id for row in db.all(_UNCONFIRMED, now=clock.now())]


def end(id: str, chain: str, to: Standing, actor: str, address: object = "") -> bool:
    """The one way a request ends; False if it had ended before."""
    assert to in ENDINGS
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
        write(
            "completed",
            confirmation.administrator_email,
            confirmation.organisation_id,
            confirmation.details,
            about=confirmation.id,
            at=now.isoformat(),
        )


def proved(organisation: Organisation) -> set[str]:
    """Which of the responsible person's contacts, `phone` and `email`, are confirmed."""
    return set(proofs_of(organisation))


def proofs_of(organisation: Organisation) -> dict[str, Proof]:
    """The proofs of the responsible person's contacts, `phone` and `email`, that there are."""
    rows = db.all(
        _PROOFS_OF,
        organisation_id=organisation.id,
        person=organisation.person,
        phone=organisation.phone_fingerprint,
        email=organisation.email_fingerprint,
    )
    return {row.kind: Proof(*row) for row in rows}


def write(
    letter: str, to: str, organisation_id: str, details: Details, *, about: str, **words: object
) -> str:
    """Post a letter about a request; every one names the organisation and the person."""
    return outbox.post(
        "email",
        letter,
        to,
        organisation_id,
        about=about,
        id=organisation_id,
        name=details.short_name,
        person=details.full_name,
        **words,  # type: ignore[arg-type] # words of the letter, and worth_until
    )
