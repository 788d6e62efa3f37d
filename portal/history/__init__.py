"""The journal in sentences: what happened to an organisation or an account, for people to read.

The journal names people, records and messages by their ids; here the ids become words again, a
page at a time and by one statement for each kind of id. That a message left is told by its own
row (docs/decisions.md), so its line is put among those of the journal by its moment.
"""

from portal.history.reading import Place, is_place, of_account, of_organisation, whole
from portal.history.telling import Told
from portal.history.words import (
    ACCOUNT_KINDS,
    ACTORS,
    CHANGED,
    DENIED,
    EVENTS,
    KIND_NAMES,
    LETTERS,
    ORGANISATION_KINDS,
    SMS,
    TROUBLES,
    Kind,
)

__all__ = [
    "ACCOUNT_KINDS",
    "ACTORS",
    "CHANGED",
    "DENIED",
    "EVENTS",
    "KIND_NAMES",
    "LETTERS",
    "ORGANISATION_KINDS",
    "SMS",
    "TROUBLES",
    "Kind",
    "Place",
    "Told",
    "is_place",
    "of_account",
    "of_organisation",
    "whole",
]
