"""An organisation: its account in IZKT, and the record of who answers for it.

A record is a version that never changes; the organisation points at the current one, and at the
one that a specialist verified. What changed is a comparison of two records, and what a person
confirmed is the record that was shown to them. What its operational users may do is its status.
"""

from portal.organisation.checks import check_networks, misfits
from portal.organisation.draft import (
    BESIDE_FIELDS,
    EDITED_CHECKS,
    EDITED_FIELDS,
    Clash,
    Draft,
    Start,
    Trace,
    apply_draft,
    changes,
    changes_record,
    clashes,
    details_in,
    draft_of,
    forget_draft,
    keep_draft,
    merge,
    person_after,
    preview,
    start_of,
    traces,
)
from portal.organisation.organisation import (
    Organisation,
    Outcome,
    Record,
    discard_edit,
    find,
    find_record,
    keep_verified,
    must_be_readable,
    save,
)
from portal.organisation.record import (
    CONTACTS,
    FIELD_CHECKS,
    ORGANISATION_FIELDS,
    PERSON_FIELDS,
    Change,
    Details,
    compare,
    differences,
)
from portal.organisation.search import search
from portal.organisation.status import STATUS_NAMES, MovedError, Status, is_open
from portal.organisation.tables import memberships, organisations, records

__all__ = [
    "BESIDE_FIELDS",
    "CONTACTS",
    "EDITED_CHECKS",
    "EDITED_FIELDS",
    "FIELD_CHECKS",
    "ORGANISATION_FIELDS",
    "PERSON_FIELDS",
    "STATUS_NAMES",
    "Change",
    "Clash",
    "Details",
    "Draft",
    "MovedError",
    "Organisation",
    "Outcome",
    "Record",
    "Start",
    "Status",
    "Trace",
    "apply_draft",
    "changes",
    "changes_record",
    "check_networks",
    "clashes",
    "compare",
    "details_in",
    "differences",
    "discard_edit",
    "draft_of",
    "find",
    "find_record",
    "forget_draft",
    "is_open",
    "keep_draft",
    "keep_verified",
    "memberships",
    "merge",
    "misfits",
    "must_be_readable",
    "organisations",
    "person_after",
    "preview",
    "records",
    "save",
    "search",
    "start_of",
    "traces",
]
