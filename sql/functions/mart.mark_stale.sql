CREATE OR REPLACE FUNCTION mart.mark_stale(sites bigint[], days date[], months_only boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT s, date_trunc('month', d)::date, CASE WHEN NOT months_only THEN d END
    FROM unnest(sites) s, unnest(days) d;
END;
COMMENT ON FUNCTION mart.mark_stale IS 'Queue the months of these days, and the days themselves unless months_only, to be counted again.';
GRANT EXECUTE ON FUNCTION mart.mark_stale TO warehouse_loader;
