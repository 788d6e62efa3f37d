"""Confirming the email: a letter with a second link, and a button behind it."""

from datetime import timedelta

from sqlalchemy import bindparam, insert, update

from portal import clock, config, journal, outbox
from portal import proofs as signed
from portal.confirmation.confirmation import Confirmation, NotOpenError, Standing, Wait
from portal.confirmation.course import prove, write
from portal.confirmation.tables import email_links
from portal.database import db

LINK = "email"  # the purpose that the link is signed for
AGAIN_AFTER = timedelta(seconds=60)  # product.md, «Numbers»

_ADD = insert(email_links)
_TAKE = (
    update(email_links)
    .where(
        email_links.c.id == bindparam("of"),
        email_links.c.used_at.is_(None),
        email_links.c.expires_at > bindparam("now"),
    )
    .values(used_at=bindparam("now"))
)


def request_email_link(confirmation: Confirmation, address: object) -> Wait | None:
    """Send a letter with a link unless one that still works is on its way; None if all is well.

    So pressing twice, or in two tabs, sends one letter.
    """
    if confirmation.email_confirmed_at or confirmation.awaits_email_link:
        return None
    return send_email_link(confirmation, address)


def send_email_link(confirmation: Confirmation, address: object) -> Wait | None:
    """Send a letter with a link, which retires the older one; or say how long to wait."""
    if confirmation.email_confirmed_at:
        return None
    confirmation.must_be_open()
    now, older = clock.now(), confirmation.email_link
    if older:
        if now < older.again_at and not clock.is_ahead(older.posted_at):
            return Wait(older.again_at)
        outbox.withdraw(older.message_id)
    id = signed.new_public_id()
    expires_at = min(now + config.settings.email_link_lifetime, confirmation.expires_at)
    message_id = write(
        "email_link",
        confirmation.details.email,
        confirmation.organisation_id,
        confirmation.details,
        about=confirmation.id,
        token=signed.sign(LINK, id),
        worth_until=expires_at,
        until=expires_at.isoformat(),
    )
    db.execute(
        _ADD,
        {
            "id": id,
            "confirmation_id": confirmation.id,
            "message_id": message_id,
            "posted_at": now,
            "expires_at": expires_at,
            "again_at": now + AGAIN_AFTER,
        },
    )
    journal.record(
        confirmation.chain, "email_link.posted", "responsible", address, message=message_id
    )
    return None


def follow_email_link(confirmation: Confirmation, link_id: str, address: object) -> None:
    """Confirm the address that the link was sent to.

    Raises NotOpenError for a link that is old or was followed by a newer one. Pressing twice on
    one that worked is no error.
    """
    link = confirmation.email_link
    if confirmation.email_confirmed_at:
        return
    confirmation.must_be_open()
    if link is None or link.id != link_id:
        raise NotOpenError(Standing.RETIRED)
    if not db.changed(_TAKE, of=link.id, now=clock.now()):
        raise NotOpenError(Standing.EXPIRED)
    prove(confirmation, "email", address)
