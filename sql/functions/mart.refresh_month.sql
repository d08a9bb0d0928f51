CREATE OR REPLACE FUNCTION mart.refresh_month(for_site bigint, for_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM mart.write_month(
        for_site, for_month,
        coalesce(
            CASE WHEN for_site = 0 THEN mart.frequency_of_only_site(for_month) END,
            ARRAY(SELECT f FROM mart.count_frequency(for_site, for_month) f)
        ),
        CASE WHEN for_site <> 0 THEN ARRAY(SELECT b FROM mart.count_bad_numbers(for_site, for_month) b) END
    );
    IF for_site <> 0 THEN
        INSERT INTO mart.stale (site_id, month) VALUES (0, for_month);
    END IF;
END
$$;
COMMENT ON FUNCTION mart.refresh_month IS 'Count a month''s recipients of a site afresh, and those of the weeks it touches: frequency, reach and bad numbers; then those of all sites (0) are to be counted, too.';
GRANT EXECUTE ON FUNCTION mart.refresh_month TO warehouse_loader;
