"""An account: who signs in, with what password, in which browsers.

Everybody but the responsible person has one. Second factors are the noun `device`.
"""

from portal.account.account import (
    OPERATIONAL,
    ROLE_NAMES,
    STAFF,
    Account,
    NotAllowedError,
    Role,
    create,
    find,
    find_by_email,
    join,
    people_of,
    tell,
    write,
)
from portal.account.changes import (
    Change,
    change,
    change_role,
    changes_of,
    has_new_email,
    has_new_password,
)
from portal.account.links import Invited, admit, invite, invite_once

__all__ = [
    "OPERATIONAL",
    "ROLE_NAMES",
    "STAFF",
    "Account",
    "Change",
    "Invited",
    "NotAllowedError",
    "Role",
    "admit",
    "change",
    "change_role",
    "changes_of",
    "create",
    "find",
    "find_by_email",
    "has_new_email",
    "has_new_password",
    "invite",
    "invite_once",
    "join",
    "people_of",
    "tell",
    "write",
]
