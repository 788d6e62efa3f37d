"""The pages, a file for each audience."""

from portal.routes import (
    account,
    check,
    confirm,
    devices,
    diagnostics,
    health,
    home,
    people,
    recovery,
    support,
)

BLUEPRINTS = (
    home.bp,
    health.bp,
    confirm.bp,
    account.bp,
    check.bp,
    devices.bp,
    diagnostics.bp,
    recovery.bp,
    people.bp,
    support.bp,
)
