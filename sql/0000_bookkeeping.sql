-- What migrations need to be recorded in: run before the first one, and only then.
-- 0001 hands these over to warehouse_owner.

CREATE SCHEMA IF NOT EXISTS ops;

CREATE TABLE IF NOT EXISTS ops.schema_version (
    version_num varchar(32) NOT NULL CONSTRAINT schema_version_pkc PRIMARY KEY
);
COMMENT ON TABLE ops.schema_version IS 'The number of the newest migration applied; kept by Alembic.';
COMMENT ON COLUMN ops.schema_version.version_num IS 'The number that begins the file''s name in sql/, four digits.';

CREATE TABLE IF NOT EXISTS ops.migration (
    revision     text        NOT NULL CONSTRAINT migration_pkey PRIMARY KEY,
    name         text        NOT NULL,
    sha256       text        NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    code_version text        NOT NULL
);
COMMENT ON TABLE ops.migration IS 'One row for each migration applied to this database.';
COMMENT ON COLUMN ops.migration.revision IS 'The number that begins the file''s name in sql/, four digits.';
COMMENT ON COLUMN ops.migration.name IS 'The rest of the file''s name, without .sql.';
COMMENT ON COLUMN ops.migration.sha256 IS 'SHA-256 of the file as applied, line ends as LF, in hexadecimal.';
COMMENT ON COLUMN ops.migration.applied_at IS 'When it was applied (instant, shown in the session''s time zone).';
COMMENT ON COLUMN ops.migration.code_version IS 'The version of the program that applied it.';
