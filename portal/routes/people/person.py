"""Somebody on the list, as their administrator sees them."""

from enum import StrEnum
from typing import NamedTuple

from flask import abort

from portal import access, account, device, recovery
from portal.account import Account, Invitation
from portal.organisation import Organisation
from portal.recovery import Case, Standing
from portal.version import version_of


class Factor(StrEnum):
    """How somebody's second factor stands, as the administrator sees it."""

    MISSING = "missing"  # the invitation was not taken up
    READY = "ready"
    ASKED_FOR = "asked_for"  # they ask for a new one
    SENT = "sent"  # the code is with them
    WITH_SUPPORT = "with_support"


class Person(NamedTuple):
    """A line of the list."""

    account: Account
    factor: Factor
    case: Case | None
    invitation: Invitation | None

    @property
    def has_new_password(self) -> bool:
        """Whether who reads the mailbox may have chosen the password, too."""
        return account.has_new_password(self.account)

    @property
    def name(self) -> str:
        return self.account.called

    @property
    def organisation_id(self) -> str:
        """Operational users have one."""
        return self.account.organisations[0]

    @property
    def is_suspended(self) -> bool:
        return self.account.suspended_at is not None

    @property
    def may_be_reset(self) -> bool:
        """Whether a reset has something to do; the noun judges it anew."""
        return (
            self.account.is_operational
            and not self.is_suspended
            and self.factor in {Factor.READY, Factor.ASKED_FOR}
        )

    @property
    def version(self) -> str:
        """A short word that changes whenever a reset would rest on something else."""
        return version_of(self.factor, self.case.id if self.case else "", self.has_new_password)

    @property
    def may_be_invited(self) -> bool:
        return (
            self.account.is_operational and not self.is_suspended and self.factor is Factor.MISSING
        )


def own(id: str) -> Person:
    """Somebody whom this administrator looks after: never an administrator. Others are noted."""
    found = account.find(id)
    if found is None or not account.administers(access.me(), found):
        access.note_refusal()
        abort(404)
    return person_of(found)


def own_organisation(id: str) -> Organisation:
    """One of the administrator's own; their first one if none is named. Others are noted."""
    return access.own_organisation(id or next(iter(access.me().organisations), ""))


def person_of(found: Account) -> Person:
    case = recovery.case_to_stop(found)
    factor = Factor.READY
    if not device.has_device(found.id):
        factor = Factor.MISSING
    elif case and not case.is_administrators:
        factor = Factor.WITH_SUPPORT
    elif case:
        factor = Factor.ASKED_FOR if case.standing is Standing.ROUTED else Factor.SENT
    return Person(found, factor, case, account.invitation_of(found))
