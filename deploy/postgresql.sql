-- The portal's database, by a superuser, once:  psql --set=password=… --file=postgresql.sql
--
-- Lists go by the bytes of IDs, so the locale is C; what is Russian about order and search the
-- portal does itself. Its role owns one schema of one database, and may do nothing else.

CREATE ROLE portal LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
CREATE DATABASE portal TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
REVOKE ALL ON DATABASE portal FROM PUBLIC;
GRANT CONNECT ON DATABASE portal TO portal;
\connect portal
ALTER SCHEMA public OWNER TO portal;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
