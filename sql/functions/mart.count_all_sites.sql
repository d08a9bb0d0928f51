CREATE OR REPLACE FUNCTION mart.count_all_sites() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO mart.stale (site_id, month)
    SELECT DISTINCT 0, date_trunc('month', f.period_start)::date FROM mart.sms_frequency f WHERE f.site_id = 0;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mart.count_all_sites IS 'Queue what is counted over all sites to be counted again, after an account was removed.';
