CREATE OR REPLACE FUNCTION ops.analyze_months(parent regclass, months date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT i.inhrelid::regclass
        FROM pg_inherits i
        JOIN unnest(months) AS m(month) ON i.inhrelid::regclass::text LIKE '%\_' || to_char(m.month, 'YYYY\_MM')
        WHERE i.inhparent = parent
    LOOP
        EXECUTE format('ANALYZE %s', partition);
    END LOOP;
END
$$;
COMMENT ON FUNCTION ops.analyze_months IS 'Renews the planner''s statistics of a table''s partitions for these months.';
GRANT EXECUTE ON FUNCTION ops.analyze_months TO warehouse_loader;
