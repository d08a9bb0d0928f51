-- Roles, schemas, what is closed to everybody, and how a month of a table comes to be.
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

CREATE SCHEMA raw AUTHORIZATION warehouse_owner;
CREATE SCHEMA warehouse AUTHORIZATION warehouse_owner;
CREATE SCHEMA bi AUTHORIZATION warehouse_owner;
CREATE SCHEMA bi_pii AUTHORIZATION warehouse_owner;
ALTER SCHEMA ops OWNER TO warehouse_owner;
ALTER TABLE ops.schema_version OWNER TO warehouse_owner;
ALTER TABLE ops.migration OWNER TO warehouse_owner;

SET ROLE warehouse_owner;

COMMENT ON SCHEMA raw IS 'Vendor answers as received, compressed, before they are parsed. Personal data.';
COMMENT ON SCHEMA warehouse IS 'Typed rows of each source, one table each, partitioned by month of the vendor-local day. Personal data.';
COMMENT ON SCHEMA ops IS 'The pipeline''s books: extractions, receipts, rejects, budgets, migrations.';
COMMENT ON SCHEMA bi IS 'What BI tools read: no phone number, no message text.';
COMMENT ON SCHEMA bi_pii IS 'Unmasked views, for warehouse_bi_pii alone. Personal data.';

GRANT USAGE ON SCHEMA raw, warehouse, ops, bi TO warehouse_loader;
GRANT USAGE ON SCHEMA bi TO warehouse_bi;
GRANT USAGE ON SCHEMA bi_pii TO warehouse_bi_pii;
GRANT SELECT ON ops.schema_version, ops.migration TO warehouse_loader;
ALTER DEFAULT PRIVILEGES FOR ROLE warehouse_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE ops.partition_storage (
    parent     regclass NOT NULL CONSTRAINT partition_storage_pkey PRIMARY KEY,
    parameters text     NOT NULL
);
COMMENT ON TABLE ops.partition_storage IS 'Storage parameters for the months of a table: Postgres takes none on the partitioned table itself.';
COMMENT ON COLUMN ops.partition_storage.parent IS 'The partitioned table.';
COMMENT ON COLUMN ops.partition_storage.parameters IS 'As in ALTER TABLE … SET (…): fillfactor = 90.';

CREATE FUNCTION ops.partition_name(parent regclass, month date) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT format('%I.%I', n.nspname, c.relname || to_char(month, '"_"YYYY"_"MM'))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = parent
);
COMMENT ON FUNCTION ops.partition_name(regclass, date) IS 'The name of a table''s partition for a month: warehouse.calltouch_sms_2024_04.';

-- CREATE TABLE … PARTITION OF makes readers wait and waits for them; ATTACH does neither. It takes
-- SHARE UPDATE EXCLUSIVE on the parent until the transaction ends: call it in one of its own.
CREATE FUNCTION ops.ensure_month(parent regclass, month date) RETURNS regclass
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first     date := date_trunc('month', month);
    next      date := first + interval '1 month';
    name      text := ops.partition_name(parent, first);
    partition regclass := to_regclass(name);
    storage   text;
BEGIN
    IF partition IS NULL THEN
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', parent);
        partition := to_regclass(name);
    END IF;
    IF partition IS NOT NULL THEN
        IF pg_partition_root(partition) IS DISTINCT FROM parent THEN
            RAISE duplicate_table USING MESSAGE = format('%s exists, and is no partition of %s', name, parent);
        END IF;
        RETURN partition;
    END IF;

    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)', name, parent);
    partition := to_regclass(name);
    SELECT s.parameters INTO storage FROM ops.partition_storage s WHERE s.parent = ensure_month.parent;
    IF storage IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', partition, storage);
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition,
                   format('%s of %s.', to_char(first, 'YYYY-MM'), parent));
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                   parent, partition, first || ' 00:00+00', next || ' 00:00+00');
    RETURN partition;
END
$$;
COMMENT ON FUNCTION ops.ensure_month(regclass, date) IS 'Makes the partition of a table for the month of this day, unless it exists; without making readers or loaders wait. Safe in several sessions at once.';
GRANT EXECUTE ON FUNCTION ops.partition_name(regclass, date), ops.ensure_month(regclass, date) TO warehouse_loader;

-- Built-in functions that a reader could stop the loader with, or fill the disk with.
CREATE VIEW ops.closed_function AS
    SELECT p.oid::regprocedure AS function, p.proname LIKE '%advisory%' AS for_loader,
           has_function_privilege('public', p.oid, 'EXECUTE') AS is_open
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_' OR p.proname ~ '^lo_(creat|create|from_bytea|put|import)$');
COMMENT ON VIEW ops.closed_function IS 'Built-in functions taken from PUBLIC in this database.';
COMMENT ON COLUMN ops.closed_function.function IS 'The function, with its argument types.';
COMMENT ON COLUMN ops.closed_function.for_loader IS 'Whether the pipeline needs it (advisory locks).';
COMMENT ON COLUMN ops.closed_function.is_open IS 'Whether anybody may still execute it: only a superuser can change that.';

-- CREATE DATABASE … TEMPLATE and most restores leave the privileges of the database itself behind,
-- so this is asked for again at each migration. What the caller may not do is left, and listed.
CREATE FUNCTION ops.secure_database() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_superuser boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    owner        oid := (SELECT datdba FROM pg_database WHERE datname = current_database());
    closed       record;
BEGIN
    IF is_superuser OR pg_has_role(owner, 'USAGE') THEN
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO warehouse_owner', current_database());
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO warehouse_loader', current_database());
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO warehouse_bi', current_database());
        IF to_regnamespace('public') IS NOT NULL THEN
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
        END IF;
    END IF;
    IF is_superuser THEN
        FOR closed IN SELECT * FROM ops.closed_function WHERE is_open LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', closed.function);
            IF closed.for_loader THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO warehouse_owner, warehouse_loader', closed.function);
            END IF;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION ops.secure_database() IS 'Closes the database to PUBLIC, as far as the caller may; ops.security_gap lists what is left.';

CREATE VIEW ops.security_gap AS
    SELECT format('PUBLIC may %s in database %s', lower(p.privilege), current_database()) AS gap,
           format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) AS mend
    FROM (VALUES ('CONNECT'), ('TEMPORARY'), ('CREATE')) AS p (privilege)
    WHERE has_database_privilege('public', current_database(), p.privilege)
    UNION ALL
    SELECT 'PUBLIC may create objects in schema public', 'REVOKE ALL ON SCHEMA public FROM PUBLIC'
    WHERE to_regnamespace('public') IS NOT NULL
      AND has_schema_privilege('public', to_regnamespace('public'), 'CREATE')
    UNION ALL
    SELECT format('PUBLIC may call %s', function), format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function)
    FROM ops.closed_function WHERE is_open;
COMMENT ON VIEW ops.security_gap IS 'What should be closed to PUBLIC in this database and is not: who migrated was not allowed to close it.';
COMMENT ON COLUMN ops.security_gap.gap IS 'What anybody may do.';
COMMENT ON COLUMN ops.security_gap.mend IS 'The statement that closes it, for a superuser.';
GRANT SELECT ON ops.security_gap, ops.closed_function TO warehouse_loader;

RESET ROLE;
