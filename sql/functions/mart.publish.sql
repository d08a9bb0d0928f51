-- What readers may find out: a reader that is held to ops.bi_grant is served by functions that fetch its
-- accounts' rows alone. A row policy does not do: comparisons that Postgres knows as leakproof run before
-- it, and EXPLAIN ANALYZE, the planner's estimates and the counters of pg_stat_xact_* tell what they found.
-- So every view of bi that shows accounts has two halves, of which a plan has one, chosen while it is made:
--
-- * who is held to nothing reads mart.all_<view>, and pays nothing for the other half;
-- * who is held reads mart.own_<view>(), which works as warehouse_owner and which the planner does not
--   look into: what the reader asks for is compared with rows of its own accounts, and estimated
--   without statistics. The tables are not in its plan; if they were, their policy is false.
--
-- The large views call their function once for each day that the query asks for (day_column), so that it
-- need not fetch all days. A view of two halves takes no writes anyway, but would say so before it says who
-- may not write: hence the trigger. mart.all_<view> is a security_barrier where the view that is handed over is.
-- Where it is none, what is asked at each execution stands above both halves: a condition without a column, beside
-- outer joins, keeps PostgreSQL 15 from leaving out those that a query has no use for.
CREATE OR REPLACE FUNCTION mart.publish(
    view regclass, reader regrole, account_key text, day_column name DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name name := (SELECT c.relnamespace::regnamespace::name FROM pg_class c WHERE c.oid = view);
    view_name name := (SELECT c.relname FROM pg_class c WHERE c.oid = view);
    published text := format('%I.%I', schema_name, view_name);
    whole text := format('mart.%I', 'all_' || view_name);
    own text := format('mart.%I', 'own_' || view_name);
    is_own text := CASE account_key
        WHEN 'account' THEN '(v.vendor, v.account) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)'
        WHEN 'site' THEN 'v.site_id = ANY (ARRAY(SELECT a.site_id FROM mart.accounts_of(works_as) a))'
        WHEN 'tellody' THEN '(''tellody'', v.account) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)'
        WHEN 'trust' THEN '(''trust'', v.company_id::text) IN (SELECT a.vendor, a.account FROM mart.accounts_of(works_as) a)'
        END;
    barrier text := (SELECT CASE WHEN 'security_barrier=true' = ANY (c.reloptions)
        THEN 'WITH (security_barrier)' ELSE '' END FROM pg_class c WHERE c.oid = view);
    columns text;
    passed record;
BEGIN
    IF is_own IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('mart.publish: no account_key %L', account_key);
    END IF;
    EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', whole, barrier, pg_get_viewdef(view));
    FOR passed IN
        SELECT a.attname, d.description FROM pg_description d
        LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0
        WHERE d.objoid = view AND d.classoid = 'pg_class'::regclass
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L',
            CASE WHEN passed.attname IS NULL THEN 'VIEW' ELSE 'COLUMN' END,
            whole || coalesce('.' || quote_ident(passed.attname), ''), passed.description);
    END LOOP;

    EXECUTE format(
        'CREATE OR REPLACE FUNCTION %s(works_as name%s) RETURNS SETOF %s'
        ' LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER'
        ' SET search_path = pg_catalog, pg_temp AS %L',
        own, CASE WHEN day_column IS NOT NULL THEN ', of_day date' END, whole,
        format(E'BEGIN\n    RETURN QUERY SELECT v.* FROM %s v\n    WHERE %s%s;\nEND',
            whole, is_own, coalesce(' AND v.' || quote_ident(day_column) || ' = of_day', '')));
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', own,
        format('Rows of %s of the reader''s accounts alone.', published));
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', own);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', own, reader);

    SELECT string_agg(CASE WHEN a.attname IN (day_column, CASE WHEN day_column IS NOT NULL THEN 'day' END) THEN 'd.day' ELSE format('o.%I', a.attname) END,
        ', ' ORDER BY a.attnum) INTO columns
    FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0;
    EXECUTE format(CASE WHEN barrier <> '' THEN
        'CREATE OR REPLACE VIEW %s AS SELECT * FROM %s WHERE mart.sees_all() AND mart.still_sees_all()'
        ' UNION ALL SELECT %s FROM %s WHERE NOT mart.sees_all() AND ops.serves(current_user)'
        ELSE
        'CREATE OR REPLACE VIEW %s AS SELECT v.* FROM (SELECT * FROM %s WHERE mart.sees_all()'
        ' UNION ALL SELECT %s FROM %s WHERE NOT mart.sees_all() AND ops.serves(current_user)) v'
        ' WHERE mart.sees_all() AND mart.still_sees_all() OR NOT mart.sees_all()'
        END, published, whole, columns,
        CASE WHEN day_column IS NULL THEN format('%s(current_user) o', own)
        ELSE format('mart.own_days(current_user) d CROSS JOIN LATERAL %s(current_user, d.day) o', own)
        END);
    EXECUTE format('CREATE OR REPLACE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON %s'
        ' FOR EACH ROW EXECUTE FUNCTION mart.refuse_write()', published);
    EXECUTE format('GRANT SELECT ON %s TO %s', published, reader);
END
$$;
COMMENT ON FUNCTION mart.publish IS 'Make a plain view of bi one that shows held readers their accounts alone: what it selects becomes mart.all_<name>, and a view of two halves takes its place. account_key: how its rows name their account (account: vendor and account; site: site_id; tellody: account; trust: company_id); day_column: the day of a view too large to be fetched whole.';
