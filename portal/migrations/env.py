"""How alembic runs here: on the connection it is given, one transaction for all."""

from alembic import context

import portal.account.tables
import portal.campaign.tables
import portal.confirmation.tables
import portal.device.tables
import portal.diagnostics
import portal.gateways.inbox
import portal.journal
import portal.limits
import portal.organisation.tables
import portal.outbox
import portal.recovery.tables
import portal.verification.tables  # noqa: F401 - the tables have to be known
from portal.database import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
