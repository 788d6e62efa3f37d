#!/bin/sh
# Runs once in a new PostgreSQL container (compose.yml): the portal's role and database.
exec psql --username=postgres --set=ON_ERROR_STOP=1 --set=password="$(cat /run/secrets/portal)" --file=/sql/postgresql.sql
