-- Roles, schemas, and what migrations are recorded in.
--
-- Roles belong to the whole server, and several databases may be migrated at once: each role and
-- membership is made only where it is absent, and a race with another database counts as made.
-- Nobody gets a login or a password here: an administrator, or the embedded server, gives them.

DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            ('warehouse_owner',     'Owns every object of the warehouse; nobody signs in as it.'),
            ('warehouse_loader',    'What the pipeline needs to load days, and nothing more.'),
            ('warehouse_bi',        'Reads schema bi, and nothing else.'),
            ('warehouse_bi_detail', 'Reads what warehouse_bi does, and row-level pseudonyms.'),
            ('warehouse_bi_pii',    'Reads what warehouse_bi_detail does, and the unmasked views of schema bi_pii.'),
            ('warehouse_dagster',   'Owns Dagster''s own storage, a database apart.')
        ) AS role (name, purpose)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = one.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', one.name);
                EXECUTE format('COMMENT ON ROLE %I IS %L', one.name, one.purpose);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;

    FOR one IN
        SELECT * FROM (VALUES
            ('warehouse_bi',        'warehouse_bi_detail'),
            ('warehouse_bi_detail', 'warehouse_bi_pii')
        ) AS membership (granted, member)
    LOOP
        IF NOT pg_has_role(one.member, one.granted, 'MEMBER') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', one.granted, one.member);
            EXCEPTION WHEN unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;

-- Who migrates without being a superuser has to be able to work as the owner.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT warehouse_owner, warehouse_loader TO %I', current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'warehouse_owner could not be granted to %: an administrator has to.', current_user;
END
$$;

DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO warehouse_owner', current_database());
END
$$;

CREATE SCHEMA ops AUTHORIZATION warehouse_owner;
CREATE SCHEMA raw AUTHORIZATION warehouse_owner;
CREATE SCHEMA warehouse AUTHORIZATION warehouse_owner;
CREATE SCHEMA mart AUTHORIZATION warehouse_owner;
CREATE SCHEMA bi AUTHORIZATION warehouse_owner;
CREATE SCHEMA bi_pii AUTHORIZATION warehouse_owner;

SET ROLE warehouse_owner;

COMMENT ON SCHEMA raw IS 'Vendor answers as received, compressed, before they are parsed. Personal data.';
COMMENT ON SCHEMA warehouse IS 'Typed rows of each source, one table each, partitioned by month of the vendor-local day. Personal data.';
COMMENT ON SCHEMA ops IS 'The pipeline''s books: extractions, receipts, rejects, budgets, migrations.';
COMMENT ON SCHEMA bi IS 'What BI tools read: no phone number, no message text.';
COMMENT ON SCHEMA bi_pii IS 'Unmasked views, for warehouse_bi_pii alone. Personal data.';
COMMENT ON SCHEMA mart IS 'Small tables behind the views of bi, kept current by every load. Nobody reads it directly.';

GRANT USAGE ON SCHEMA raw, warehouse, ops, bi, mart TO warehouse_loader;
GRANT USAGE ON SCHEMA bi TO warehouse_bi;
GRANT USAGE ON SCHEMA bi_pii TO warehouse_bi_pii;
ALTER DEFAULT PRIVILEGES FOR ROLE warehouse_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE ops.migration (
    revision text NOT NULL CONSTRAINT migration_pkey PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    code_version text NOT NULL
);
COMMENT ON TABLE ops.migration IS 'One row for each file of sql/ that this database has: numbered files, functions and views. Source: `warehouse migrate`.';
COMMENT ON COLUMN ops.migration.revision IS 'The number that begins the file''s name, four digits; of a function or view its folder and name.';
COMMENT ON COLUMN ops.migration.name IS 'The rest of the file''s name, without .sql.';
COMMENT ON COLUMN ops.migration.sha256 IS 'SHA-256 of the file as applied, line ends as LF, in hexadecimal.';
COMMENT ON COLUMN ops.migration.applied_at IS 'When it was last applied (instant, shown in the session''s time zone).';
COMMENT ON COLUMN ops.migration.code_version IS 'The version of the program that applied it.';
GRANT SELECT ON ops.migration TO warehouse_loader;

CREATE TABLE ops.partition_storage (
    parent     regclass NOT NULL CONSTRAINT partition_storage_pkey PRIMARY KEY,
    parameters text     NOT NULL
);
COMMENT ON TABLE ops.partition_storage IS 'Storage parameters for the months of a table: Postgres takes none on the partitioned table itself.';
COMMENT ON COLUMN ops.partition_storage.parent IS 'The partitioned table.';
COMMENT ON COLUMN ops.partition_storage.parameters IS 'As in ALTER TABLE … SET (…): fillfactor = 90.';

RESET ROLE;
