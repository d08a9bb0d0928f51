CREATE OR REPLACE FUNCTION mart.recount(of_site bigint, of_days date[])
RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    FOR asked IN
        SELECT a.time_zone, (s.observed_at AT TIME ZONE a.time_zone)::date AS asked_on,
            array_agg(s.day) AS days
        FROM ops.day_state s
        JOIN mart.account a ON a.vendor = 'calltouch' AND a.account = s.account
        WHERE s.source = 'calltouch' AND a.site_id = of_site AND s.day = ANY (of_days)
        GROUP BY 1, 2
    LOOP
        RETURN QUERY SELECT * FROM mart.refresh_sms(
            of_site, asked.days, asked.time_zone, asked.asked_on);
        PERFORM mart.refresh_messaging('calltouch', of_site::text, asked.days);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mart.recount IS 'Count loaded days of a site afresh, as of the day on which the vendor was asked; answers as mart.refresh_sms.';
GRANT EXECUTE ON FUNCTION mart.recount TO warehouse_loader;
