-- The portal's database, by a superuser, once:  psql --file=postgresql.sql
-- The password of its role is PORTAL_PASSWORD in the environment: a command line can be read by all.
--
-- Lists go by the bytes of IDs, so the locale is C; what is Russian about order and search the
-- portal does itself. Its role owns one schema of one database, and may do nothing else.

\getenv password PORTAL_PASSWORD
CREATE ROLE portal LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
CREATE DATABASE portal TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
REVOKE ALL ON DATABASE portal FROM PUBLIC;
GRANT CONNECT ON DATABASE portal TO portal;
\connect portal
ALTER SCHEMA public OWNER TO portal;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
