"""An administrator's own people: invited, given a role, suspended, and back with a new device.

product.md, «Sign-in and the lost device», 5: never their own second factor, with one of a moment
ago, and told to the owner. The same holds for suspending.
"""

from portal.routes.people import (  # noqa: F401 - they hang on
    invitations,
    page,
    reset,
    roles,
    suspension,
)
from portal.routes.people.blueprint import bp

__all__ = ["bp"]
