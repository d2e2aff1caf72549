-- Creates everything that app.py needs. psql runs this file at every start, as the user of
-- the database, so each statement must also work if its result is already there.

SET client_min_messages TO warning;

SELECT 'CREATE ROLE web LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'web')
\gexec

-- Sets the password to the current secret. If a statement fails, the server logs it, and the
-- password with it; the setting below prevents that.
\getenv password WEB_PASSWORD
SET log_min_error_statement TO panic;
ALTER ROLE web PASSWORD :'password';
RESET log_min_error_statement;

SELECT 'CREATE DATABASE web OWNER web' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'web')
\gexec
\connect web
SET client_min_messages TO warning;
SET ROLE web;

CREATE TABLE IF NOT EXISTS visits (
    id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at  timestamptz NOT NULL DEFAULT now()
);
