-- Reach, counted in one pass: a row for each recipient and category, a column for each week. As rows
-- of weeks it took twice as long. What counts is in functions of their own that RETURN QUERY: nothing
-- else of PL/pgSQL may use parallel workers.
CREATE OR REPLACE FUNCTION mart.count_reach(for_site bigint, for_month date)
RETURNS SETOF mart.sms_reach
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0.001
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
    first_week date := mart.monday_of(for_month);
    after_weeks date := mart.monday_of(next_month - 1) + 7;
BEGIN
    RETURN QUERY
    WITH sent AS (
        SELECT s.recipient, mart.template_of(s.template_id, s.message) AS template_id,
            (s.sent_on - first_week) / 7 AS week,
            s.sent_on >= for_month AND s.sent_on < next_month AS in_month
        FROM warehouse.calltouch_sms s
        WHERE s.site_id = for_site AND s.sent_on >= first_week AND s.sent_on < after_weeks
          AND s.recipient IS NOT NULL
    ), had AS MATERIALIZED (
        SELECT sent.recipient, coalesce(p.category, 'rare') AS category,
            count(*) FILTER (WHERE in_month)::integer AS month,
            count(*) FILTER (WHERE week = 0)::integer AS week_0,
            count(*) FILTER (WHERE week = 1)::integer AS week_1,
            count(*) FILTER (WHERE week = 2)::integer AS week_2,
            count(*) FILTER (WHERE week = 3)::integer AS week_3,
            count(*) FILTER (WHERE week = 4)::integer AS week_4,
            count(*) FILTER (WHERE week = 5)::integer AS week_5
        FROM sent
        LEFT JOIN mart.template p ON p.site_id = for_site AND p.template_id = sent.template_id
        GROUP BY 1, 2
    ), whoever AS (
        SELECT category, month, week_0, week_1, week_2, week_3, week_4, week_5 FROM had
        UNION ALL
        SELECT 'all',
            sum(month)::integer, sum(week_0)::integer, sum(week_1)::integer, sum(week_2)::integer,
            sum(week_3)::integer, sum(week_4)::integer, sum(week_5)::integer
        FROM had GROUP BY recipient
    ), counted (
        category,
        month_any, month_often, month_sum,
        week_0_any, week_0_often, week_0_sum,
        week_1_any, week_1_often, week_1_sum,
        week_2_any, week_2_often, week_2_sum,
        week_3_any, week_3_often, week_3_sum,
        week_4_any, week_4_often, week_4_sum,
        week_5_any, week_5_often, week_5_sum
    ) AS (
        SELECT category,
            count(*) FILTER (WHERE month >= 1), count(*) FILTER (WHERE month >= 4), sum(month),
            count(*) FILTER (WHERE week_0 >= 1), count(*) FILTER (WHERE week_0 >= 4), sum(week_0),
            count(*) FILTER (WHERE week_1 >= 1), count(*) FILTER (WHERE week_1 >= 4), sum(week_1),
            count(*) FILTER (WHERE week_2 >= 1), count(*) FILTER (WHERE week_2 >= 4), sum(week_2),
            count(*) FILTER (WHERE week_3 >= 1), count(*) FILTER (WHERE week_3 >= 4), sum(week_3),
            count(*) FILTER (WHERE week_4 >= 1), count(*) FILTER (WHERE week_4 >= 4), sum(week_4),
            count(*) FILTER (WHERE week_5 >= 1), count(*) FILTER (WHERE week_5 >= 4), sum(week_5)
        FROM whoever GROUP BY category
    )
    SELECT v.period, v.period_start, for_site, counted.category,
        v.recipients::integer, v.often::integer, v.messages::integer
    FROM counted CROSS JOIN LATERAL (VALUES
        ('month', for_month, month_any, month_often, month_sum),
        ('week', first_week, week_0_any, week_0_often, week_0_sum),
        ('week', first_week + 7, week_1_any, week_1_often, week_1_sum),
        ('week', first_week + 14, week_2_any, week_2_often, week_2_sum),
        ('week', first_week + 21, week_3_any, week_3_often, week_3_sum),
        ('week', first_week + 28, week_4_any, week_4_often, week_4_sum),
        ('week', first_week + 35, week_5_any, week_5_often, week_5_sum)
    ) v (period, period_start, recipients, often, messages)
    WHERE v.recipients > 0;
END
$$;
COMMENT ON FUNCTION mart.count_reach IS 'Distinct recipients of a month, and of the weeks it touches, by category and of all.';
