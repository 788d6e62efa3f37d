#!/bin/sh
# Runs once in a new PostgreSQL container (compose.yml): the portal's role and database. It runs as
# the user 999, who has to be able to read passwords/portal.
set -eu
PORTAL_PASSWORD="$(cat /run/secrets/portal)"
export PORTAL_PASSWORD
exec psql --username=postgres --set=ON_ERROR_STOP=1 --file=/sql/postgresql.sql
