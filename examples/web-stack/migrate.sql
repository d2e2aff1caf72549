-- Brings the database to what app.py needs. Runs at each start, by psql as the database's
-- own user: every statement may find its work done.

SET client_min_messages TO warning;

SELECT 'CREATE ROLE web LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'web')
\gexec

-- The password is what the secret says today. The server would log a statement that
-- fails, password and all.
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
