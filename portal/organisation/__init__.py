"""An organisation: its account in IZKT, and the record of who answers for it.

A record is a version that never changes; the organisation points at the current one. What changed
is a comparison of two records, and what a person confirmed is the record that was shown to them.
"""

from portal.organisation.organisation import Organisation, Outcome, find, save
from portal.organisation.record import (
    FIELD_CHECKS,
    ORGANISATION_FIELDS,
    PERSON_FIELDS,
    Details,
    differences,
)
from portal.organisation.tables import organisations, records

__all__ = [
    "FIELD_CHECKS",
    "ORGANISATION_FIELDS",
    "PERSON_FIELDS",
    "Details",
    "Organisation",
    "Outcome",
    "differences",
    "find",
    "organisations",
    "records",
    "save",
]
