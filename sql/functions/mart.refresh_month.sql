CREATE OR REPLACE FUNCTION mart.refresh_month(for_site bigint, for_month date) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT mart.write_month(
        for_site, for_month,
        ARRAY(SELECT r FROM mart.count_reach(for_site, for_month) r),
        ARRAY(SELECT b FROM mart.count_bad_numbers(for_site, for_month) b)
    );
END;
COMMENT ON FUNCTION mart.refresh_month IS 'Count a month''s recipients of a site afresh, and those of the weeks it touches: reach and bad numbers.';
GRANT EXECUTE ON FUNCTION mart.refresh_month TO warehouse_loader;
