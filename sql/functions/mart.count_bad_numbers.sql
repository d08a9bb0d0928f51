CREATE OR REPLACE FUNCTION mart.count_bad_numbers(for_site bigint, for_month date)
RETURNS SETOF mart.sms_bad_numbers
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0.001
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
BEGIN
    RETURN QUERY
    SELECT for_month, for_site, repeated.reason, count(*)::integer,
        sum(repeated.failures - 1)::integer, sum(repeated.segments - repeated.of_first)::integer
    FROM (
        SELECT coalesce(s.reason, 'none') AS reason, count(*)::integer AS failures,
            coalesce(sum(s.segments), 0) AS segments,
            -- The first SMS comes first by its second, and carries its segments along.
            min(extract(epoch FROM s.sent_at)::bigint * 100000 + coalesce(s.segments, 0)) % 100000 AS of_first
        FROM warehouse.calltouch_sms s
        WHERE s.site_id = for_site AND s.sent_on >= for_month AND s.sent_on < next_month
          AND s.outcome = 'failed' AND s.recipient IS NOT NULL
        GROUP BY s.recipient, 1
    ) repeated
    WHERE repeated.failures >= 2 GROUP BY repeated.reason;
END
$$;
COMMENT ON FUNCTION mart.count_bad_numbers IS 'Recipients with two or more failures in a month, by reason.';
