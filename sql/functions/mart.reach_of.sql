CREATE OR REPLACE FUNCTION mart.reach_of(frequencies mart.sms_frequency[]) RETURNS SETOF mart.sms_reach
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT f.period, f.period_start, f.site_id, CASE f.dimension WHEN 'all' THEN 'all' ELSE f.member END,
        sum(f.recipients)::integer,
        coalesce(sum(f.recipients) FILTER (WHERE f.frequency >= 4), 0)::integer, sum(f.messages)::integer
    FROM unnest(frequencies) f
    WHERE f.site_id <> 0 AND f.dimension IN ('all', 'category')
    GROUP BY 1, 2, 3, 4;
END;
COMMENT ON FUNCTION mart.reach_of IS 'Reach by category and of all, from how many people were sent how many SMS.';
