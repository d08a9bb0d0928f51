-- Planner settings: a partition filled a moment ago has no statistics, and without them the planner
-- sorts a million rows, or walks the index row by row, for what one scan and a hash do in a third.
CREATE OR REPLACE FUNCTION mart.sms_cells(
    of_site bigint, of_days date[], in_zone text, finals_from timestamptz, finals_before timestamptz
) RETURNS SETOF mart.sms_cell
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET enable_nestloop = off SET work_mem = '128MB'
AS $$
DECLARE
    first_instant timestamptz := (SELECT min(d)::timestamp AT TIME ZONE in_zone FROM unnest(of_days) d);
    last_instant timestamptz := (SELECT max(d + 1)::timestamp AT TIME ZONE in_zone FROM unnest(of_days) d);
    -- Local hours begin on whole hours from the first midnight, unless the clock moved by half of one.
    stride interval := CASE
        WHEN date_part('minute', (last_instant AT TIME ZONE in_zone) - (first_instant AT TIME ZONE in_zone)
                - (last_instant - first_instant)) = 0 THEN '1 hour' ELSE '30 minutes' END;
BEGIN
    RETURN QUERY
    SELECT s.sent_on, date_bin(stride, s.sent_at, first_instant),
        mart.country_of(s.country, s.recipient), mart.template_of(s.template_id, s.message),
        s.outcome, s.reason,
        CASE WHEN p.template_id IS NULL AND s.template_id IS NOT NULL THEN s.recipient END,
        min(CASE WHEN p.template_id IS NULL THEN s.message END),
        count(*)::integer, sum(s.segments)::integer,
        (count(*) FILTER (WHERE s.occurrence > 1))::integer,
        (count(*) FILTER (WHERE s.final_seen_at > s.first_loaded_at
            AND s.final_seen_at >= finals_from AND s.final_seen_at < finals_before))::integer,
        coalesce(sum(date_part('epoch', s.final_seen_at - s.sent_at) / 3600)
            FILTER (WHERE s.final_seen_at > s.first_loaded_at
            AND s.final_seen_at >= finals_from AND s.final_seen_at < finals_before), 0)
    FROM warehouse.calltouch_sms s
    LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = s.template_id
    WHERE s.site_id = of_site AND s.sent_on = ANY (of_days)
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
END
$$;
COMMENT ON FUNCTION mart.sms_cells IS 'The days'' SMS counted in one pass. finals_from and finals_before bound the day of asking: rows first seen final within it.';
