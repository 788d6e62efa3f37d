"""Organisations that wait for a specialist, and how they came there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portal import confirmation, editing, organisation, verification
from portal.confirmation.course import prove
from portal.database import db
from tests.conftest import ADMINISTRATOR, LOMOVA

if TYPE_CHECKING:
    from portal.account import Account
    from portal.organisation import Organisation
    from portal.verification import Verification

ADDRESS = "10.20.4.17"


def found(id: str) -> Organisation:
    """An organisation that is there."""
    with db.reading():
        seen = organisation.find(id)
    assert seen
    return seen


def waits(id: str) -> Verification:
    """The verification of an organisation that nobody has decided yet."""
    with db.reading():
        seen = verification.open_one(id)
    assert seen
    return seen


def kept(verification_id: str) -> Verification:
    """A verification as it is now."""
    with db.reading():
        seen = verification.find(verification_id)
    assert seen
    return seen


def change(id: str, networks: str = "", **changed: Any) -> None:
    """Keep an organisation with other details, as an import does: what waited for it ends."""
    with db.writing():
        known = organisation.find(id)
        details = replace(known.details if known else LOMOVA, **changed)
        organisation.save(id, details, ADMINISTRATOR, networks, "tests")
        editing.end_outdated(id, "tests")
        db.commit()


def confirm(id: str, *kinds: str, address: str = ADDRESS, by: str = "tests") -> None:
    """Have the responsible person confirm what is not confirmed yet, in one request."""
    with db.writing():
        now = organisation.find(id)
        assert now
        asked = confirmation.request(now, by) or ""
        for kind in kinds or ("phone", "email"):
            request = confirmation.find(asked)
            if request and not getattr(request, f"{kind}_confirmed_at"):
                prove(request, kind, address)
        db.commit()


def report(id: str, comment: str = "", **proposed: str) -> None:
    """Ask the responsible person, who says what is wrong."""
    with db.writing():
        now = organisation.find(id)
        assert now
        request = confirmation.find(confirmation.request(now, "tests") or "")
        assert request
        confirmation.report(request, proposed, comment, ADDRESS)
        db.commit()


def send(id: str, by: Account) -> Verification:
    """Send an organisation to the specialists."""
    with db.writing():
        now = organisation.find(id)
        assert now
        assert verification.submit(now, by, ADDRESS) is verification.Sent.SENT
        db.commit()
    return waits(id)


def waiting(id: str, by: Account, networks: str = "", **changed: Any) -> Verification:
    """An organisation whose contacts are confirmed, and which was sent."""
    change(id, networks, **changed)
    confirm(id, by=by.id)
    return send(id, by)
