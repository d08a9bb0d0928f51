-- What readers may find out, and what they may take: accounts, connections, disk.
--
-- A reader that is held to ops.bi_grant is served by functions that fetch its accounts' rows alone.
-- A row policy does not do: comparisons that Postgres knows as leakproof run before it, and EXPLAIN
-- ANALYZE, the planner's estimates and the counters of pg_stat_xact_* tell what they found. So every
-- view of bi that shows accounts has two halves, of which a plan has one, chosen while it is made:
--
-- * who is held to nothing reads mart.all_<view>, and pays nothing for the other half;
-- * who is held reads mart.own_<view>(), which works as warehouse_owner and which the planner does not
--   look into: what the reader asks for is compared with rows of its own accounts, and estimated
--   without statistics. The tables are not in its plan; if they were, their policy is false.
--
-- The large views call their function once for each day that the query asks for, so that it need not
-- fetch all days.

SET ROLE warehouse_owner;

CREATE FUNCTION mart.is_held(works_as name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM ops.bi_grant g
        JOIN pg_roles named ON named.oid = g.role
        JOIN pg_roles who ON pg_has_role(who.oid, named.oid, 'MEMBER')
        WHERE who.rolname IN (works_as, session_user) AND NOT who.rolsuper);
END
$$;
COMMENT ON FUNCTION mart.is_held IS 'Whether the user that signed in, or the role it works as, is held to rows of ops.bi_grant.';

-- Called IMMUTABLE, which it is not, so that the planner asks it and leaves out what it rules out.
CREATE FUNCTION mart.sees_all() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN current_user = 'warehouse_owner' OR NOT mart.is_held(current_user);
COMMENT ON FUNCTION mart.sees_all() IS 'Whether the reader sees every account; answered when a query is planned.';

-- A plan may be kept and run when its reader sees all no more.
CREATE FUNCTION mart.refuse_held(works_as name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF mart.is_held(works_as) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'which accounts this session may see has changed since the query was planned',
            HINT = 'Connect again.';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION mart.refuse_held IS 'True; an error where mart.is_held().';

CREATE FUNCTION mart.still_sees_all() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_user = 'warehouse_owner' OR (ops.serves(current_user) AND mart.refuse_held(current_user));
COMMENT ON FUNCTION mart.still_sees_all() IS 'Whether the reader sees every account, and this is no restored dump; answered when a query runs, by an error if not.';

CREATE FUNCTION mart.accounts_of(works_as name) RETURNS SETOF mart.account
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.* FROM mart.account a
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles who
        WHERE who.rolname IN (works_as, session_user) AND NOT who.rolsuper
          AND EXISTS (
              SELECT FROM ops.bi_grant g
              JOIN pg_catalog.pg_roles named ON named.oid = g.role
              WHERE pg_has_role(who.oid, named.oid, 'MEMBER'))
          AND NOT EXISTS (
              SELECT FROM ops.bi_grant g
              JOIN pg_catalog.pg_roles named ON named.oid = g.role
              WHERE pg_has_role(who.oid, named.oid, 'MEMBER')
                AND g.vendor = a.vendor AND coalesce(g.account, a.account) = a.account));
END;
COMMENT ON FUNCTION mart.accounts_of IS 'The accounts that both the user that signed in and this role may see.';

CREATE FUNCTION mart.own_days(works_as name) RETURNS TABLE (day date)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT generate_series(min(s.day)::timestamp, max(s.day)::timestamp, '1 day')::date
    FROM mart.accounts_of(works_as) a
    JOIN mart.source_channel c ON c.vendor = a.vendor
    JOIN ops.day_state s ON s.source = c.source AND s.account = a.account;
END
$$;
COMMENT ON FUNCTION mart.own_days IS 'The days from the first to the last that is loaded of the reader''s accounts.';

CREATE OR REPLACE VIEW mart.visible_account WITH (security_barrier) AS
SELECT a.vendor, a.account, a.site_id, a.time_zone, a.currency, a.label
FROM mart.account a WHERE mart.sees_all();
COMMENT ON VIEW mart.visible_account IS 'Every account, for who may see all; none for others, whom mart.accounts_of() serves.';

DO $$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN SELECT p.polrelid FROM pg_policy p WHERE p.polname = 'visible_accounts' LOOP
        EXECUTE format('ALTER POLICY visible_accounts ON %s USING (mart.sees_all())', guarded);
    END LOOP;
END
$$;

-- A view of two halves takes no writes anyway, but would say so before it says who may not write.
CREATE FUNCTION mart.refuse_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE insufficient_privilege USING
        MESSAGE = format('%I.%I is for reading', tg_table_schema, tg_table_name);
END
$$;
COMMENT ON FUNCTION mart.refuse_write IS 'An error: nobody writes to a view.';

CREATE FUNCTION mart.publish(view regclass, reader regrole, is_own text, day_column name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name name := (SELECT c.relnamespace::regnamespace::name FROM pg_class c WHERE c.oid = view);
    view_name name := (SELECT c.relname FROM pg_class c WHERE c.oid = view);
    published text := format('%I.%I', schema_name, view_name);
    whole text := format('mart.%I', 'all_' || view_name);
    own text := format('mart.%I', 'own_' || view_name);
    columns text;
    passed record;
BEGIN
    EXECUTE format('ALTER VIEW %s RENAME TO %I', view, 'all_' || view_name);
    EXECUTE format('ALTER VIEW %s SET SCHEMA mart', view);
    EXECUTE format('REVOKE ALL ON %s FROM %s', whole, reader);

    EXECUTE format(
        'CREATE FUNCTION %s(works_as name%s) RETURNS SETOF %s'
        ' LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER'
        ' SET search_path = pg_catalog, pg_temp AS %L',
        own, CASE WHEN day_column IS NOT NULL THEN ', of_day date' END, whole,
        format(E'BEGIN\n    RETURN QUERY SELECT v.* FROM %s v\n    WHERE %s%s;\nEND',
            whole, is_own, coalesce(' AND v.' || quote_ident(day_column) || ' = of_day', '')));
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', own,
        format('Rows of %s of the reader''s accounts alone.', published));
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', own);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', own, reader);

    SELECT string_agg(CASE WHEN a.attname = day_column THEN 'd.day' ELSE format('o.%I', a.attname) END,
        ', ' ORDER BY a.attnum) INTO columns
    FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0;
    EXECUTE format('CREATE VIEW %s AS SELECT * FROM %s WHERE mart.sees_all() AND mart.still_sees_all()'
        ' UNION ALL SELECT %s FROM %s WHERE NOT mart.sees_all() AND ops.serves(current_user)',
        published, whole, columns,
        CASE WHEN day_column IS NULL THEN format('%s(current_user) o', own)
        ELSE format('mart.own_days(current_user) d CROSS JOIN LATERAL %s(current_user, d.day) o', own)
        END);
    EXECUTE format('CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON %s'
        ' FOR EACH ROW EXECUTE FUNCTION mart.refuse_write()', published);
    EXECUTE format('GRANT SELECT ON %s TO %s', published, reader);
    FOR passed IN
        SELECT a.attname, d.description FROM pg_description d
        LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0
        WHERE d.objoid = view AND d.classoid = 'pg_class'::regclass
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L',
            CASE WHEN passed.attname IS NULL THEN 'VIEW' ELSE 'COLUMN' END,
            published || coalesce('.' || quote_ident(passed.attname), ''), passed.description);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mart.publish IS 'Make a plain view one that shows held readers their accounts alone. It becomes mart.all_<name>, where a later change of it belongs, and a view of two halves takes its place, its comments and its reader. is_own: SQL that tells whether row v is of mart.accounts_of(works_as); day_column: the day of a view too large to be fetched whole.';

SELECT mart.publish(view::regclass, reader::regrole, is_own, day_column::name)
FROM (VALUES
    ('bi.account', 'warehouse_bi', 'account', NULL),
    ('bi.messaging_day', 'warehouse_bi', 'account', NULL),
    ('bi.data_status', 'warehouse_bi', 'account', NULL),
    ('bi.data_until', 'warehouse_bi', 'account', NULL),
    ('bi.template', 'warehouse_bi', 'site', NULL),
    ('bi.sms_reach', 'warehouse_bi', 'site', NULL),
    ('bi.sms_maturity', 'warehouse_bi', 'site', NULL),
    ('bi.sms_bad_numbers', 'warehouse_bi', 'site', NULL),
    ('bi.sms_day', 'warehouse_bi', 'site', 'sent_on'),
    ('bi.sms_hour', 'warehouse_bi', 'site', 'sent_on'),
    ('bi.sms_detail', 'warehouse_bi_detail', 'site', 'sent_on'),
    ('bi_pii.sms', 'warehouse_bi_pii', 'site', 'sent_on'),
    ('bi.tellody_activity_day', 'warehouse_bi', 'tellody', NULL),
    ('bi.credit_purchase', 'warehouse_bi', 'tellody', NULL),
    ('bi.trust_day', 'warehouse_bi', 'trust', NULL),
    ('bi.trust_window', 'warehouse_bi', 'trust', NULL)
) AS published (view, reader, key, day_column)
JOIN (VALUES
    ('account', '(v.vendor, v.account) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)'),
    ('site', 'v.site_id = ANY (ARRAY(SELECT a.site_id FROM mart.accounts_of(works_as) a))'),
    ('tellody', '(''tellody'', v.account) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)'),
    ('trust', '(''trust'', v.company_id::text) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)')
) AS keyed (key, is_own) USING (key);

-- Of which loads Dagster was told. What was loaded before this file counts as told.

ALTER TABLE ops.load_receipt ADD COLUMN reported_at timestamptz DEFAULT now();
ALTER TABLE ops.load_receipt ALTER COLUMN reported_at DROP DEFAULT;
COMMENT ON COLUMN ops.load_receipt.reported_at IS 'When Dagster was told of the load, or of a later one of the day, UTC instant; NULL: not yet (the next run of the source does it once the day is loaded of every account), or no run loaded it.';
CREATE INDEX load_receipt_unreported ON ops.load_receipt (source, day)
    WHERE reported_at IS NULL AND run_id IS NOT NULL;

-- Built-in functions that a reader could stop the loader with, or fill the disk with. pg_notify is the
-- lesser half: NOTIFY itself is no function, and open to everybody. pg_logical_emit_message has another
-- signature from 17 on: closed on 15 or 16, a dump would name a function that a later server lacks, which
-- stops pg_upgrade.
CREATE OR REPLACE VIEW ops.closed_function AS
    SELECT p.oid::regprocedure AS function, p.proname LIKE '%advisory%' AS for_loader,
           has_function_privilege('public', p.oid, 'EXECUTE') AS is_open
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_'
           OR p.proname ~ '^lo_(creat|create|from_bytea|put|import|open|truncate|truncate64)$'
           OR p.proname IN ('lowrite', 'pg_notify', 'pg_export_snapshot', 'pg_current_xact_id', 'txid_current')
           OR p.proname = 'pg_logical_emit_message'
              AND current_setting('server_version_num')::integer >= 170000);

CREATE FUNCTION ops.is_reader(login oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT r.rolcanlogin AND NOT r.rolsuper FROM pg_roles r WHERE r.oid = login)
    AND pg_has_role(login, 'warehouse_bi', 'MEMBER')
    AND NOT pg_has_role(login, 'warehouse_loader', 'MEMBER')
    AND NOT pg_has_role(login, 'warehouse_owner', 'MEMBER');
COMMENT ON FUNCTION ops.is_reader(oid) IS 'Whether a role signs in and reads bi, and neither loads nor owns.';

CREATE VIEW ops.reader_limit AS
    SELECT r.rolname::text AS login, limits.name, limits.holds,
           CASE WHEN limits.name = 'CONNECTION LIMIT' THEN nullif(r.rolconnlimit, -1)::text
                ELSE nullif(nullif(split_part(given.setting, '=', 2), '-1'), '0') END AS given,
           format('ALTER ROLE %I %s', r.rolname,
               CASE WHEN limits.name = 'CONNECTION LIMIT' THEN format('CONNECTION LIMIT %s', limits.value)
                    WHEN limits.name = 'search_path' THEN format('SET search_path = %s', limits.value)
                    ELSE format('SET %s = %L', limits.name, limits.value) END) AS mend
    FROM pg_catalog.pg_roles r
    CROSS JOIN LATERAL (VALUES
        ('CONNECTION LIMIT', '20', true),
        ('temp_file_limit', '512MB', true),
        ('statement_timeout', '60s', false),
        ('idle_in_transaction_session_timeout', '60s', false),
        ('default_transaction_read_only', 'on', false),
        ('search_path', CASE WHEN pg_has_role(r.oid, 'warehouse_bi_pii', 'MEMBER')
                             THEN 'bi, bi_pii' ELSE 'bi' END, false)
    ) AS limits (name, value, holds)
    LEFT JOIN LATERAL unnest(r.rolconfig) AS given (setting) ON split_part(given.setting, '=', 1) = limits.name
    WHERE ops.is_reader(r.oid);
COMMENT ON VIEW ops.reader_limit IS 'What each login that reads bi may take. Limits are of the login and pass to no member.';
COMMENT ON COLUMN ops.reader_limit.login IS 'Role that signs in and is a member of warehouse_bi.';
COMMENT ON COLUMN ops.reader_limit.name IS 'The limit.';
COMMENT ON COLUMN ops.reader_limit.holds IS 'Whether it holds: the others are defaults, which a session may SET otherwise.';
COMMENT ON COLUMN ops.reader_limit.given IS 'Its value; NULL: none was given.';
COMMENT ON COLUMN ops.reader_limit.mend IS 'The statement that gives it; temp_file_limit: for a superuser.';

CREATE VIEW ops.connection_reserve AS
    SELECT available, readers, reserved,
           readers + 60 <= available OR (reserved >= 60 AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_roles r
               WHERE r.rolcanlogin AND NOT r.rolsuper
                 AND (pg_has_role(r.oid, 'warehouse_loader', 'MEMBER') OR r.rolname = 'warehouse_dagster')
                 AND pg_has_role(r.oid, to_regrole('pg_use_reserved_connections'), 'USAGE') IS NOT TRUE)) AS is_kept
    FROM (
        SELECT current_setting('max_connections')::integer
                - current_setting('superuser_reserved_connections')::integer AS available,
            coalesce(current_setting('reserved_connections', true)::integer, 0) AS reserved,
            (SELECT coalesce(sum(coalesce(l.given::integer, current_setting('max_connections')::integer)), 0)
             FROM ops.reader_limit l WHERE l.name = 'CONNECTION LIMIT') AS readers
    ) AS counted;
COMMENT ON VIEW ops.connection_reserve IS 'Whether the pipeline finds a connection, however many readers take: 60 are kept for it. One row.';
COMMENT ON COLUMN ops.connection_reserve.available IS 'Connections of the server, without those for superusers.';
COMMENT ON COLUMN ops.connection_reserve.readers IS 'How many the logins that read bi may take in all.';
COMMENT ON COLUMN ops.connection_reserve.reserved IS 'How many are for members of pg_use_reserved_connections alone (PostgreSQL 16 and later).';
COMMENT ON COLUMN ops.connection_reserve.is_kept IS 'Whether 60 are left for the pipeline''s and Dagster''s logins.';

CREATE OR REPLACE VIEW ops.security_gap AS
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
    FROM ops.closed_function WHERE is_open
    UNION ALL
    SELECT format('the login %s reads bi without a limit: %s', login, name), mend
    FROM ops.reader_limit WHERE given IS NULL
    UNION ALL
    SELECT format('logins that read bi may take %s of %s connections, which leaves too few for the pipeline',
               readers, available),
           CASE WHEN to_regrole('pg_use_reserved_connections') IS NULL
                THEN 'ALTER ROLE … CONNECTION LIMIT …, until they are 60 less, or raise max_connections'
                ELSE 'ALTER SYSTEM SET reserved_connections = 60, restart the server, and GRANT'
                    ' pg_use_reserved_connections TO the logins of the pipeline and of Dagster' END
    FROM ops.connection_reserve WHERE NOT is_kept;

CREATE OR REPLACE FUNCTION ops.secure_database() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_superuser boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    owner        oid := (SELECT datdba FROM pg_database WHERE datname = current_database());
    closed       record;
    missing      record;
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
    FOR missing IN SELECT l.mend FROM ops.reader_limit l WHERE l.given IS NULL LOOP
        BEGIN
            EXECUTE missing.mend;
        EXCEPTION WHEN insufficient_privilege OR internal_error THEN
            NULL;  -- not ours to give, or given by another database's migration at this moment
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ops.secure_database() IS 'Closes the database to PUBLIC and limits the logins that read bi, as far as the caller may; ops.security_gap lists what is left.';
COMMENT ON VIEW ops.security_gap IS 'What should be closed or limited in this database and is not: who migrated was not allowed to, or a login came later.';
COMMENT ON COLUMN ops.security_gap.gap IS 'What anybody, or a reader, may do.';
GRANT SELECT ON ops.reader_limit, ops.connection_reserve TO warehouse_loader;
REVOKE ALL ON FUNCTION ops.is_reader(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.is_reader(oid) TO warehouse_loader;

REVOKE ALL ON FUNCTION mart.is_held(name), mart.sees_all(), mart.refuse_held(name), mart.still_sees_all(),
    mart.accounts_of(name), mart.own_days(name), mart.refuse_write(),
    mart.publish(regclass, regrole, text, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mart.is_held(name), mart.sees_all(), mart.refuse_held(name),
    mart.still_sees_all(), mart.own_days(name) TO warehouse_bi;

RESET ROLE;
