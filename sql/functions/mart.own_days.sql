CREATE OR REPLACE FUNCTION mart.own_days(works_as name) RETURNS TABLE (day date)
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
GRANT EXECUTE ON FUNCTION mart.own_days TO warehouse_bi;
