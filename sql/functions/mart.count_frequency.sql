-- Who was sent how many SMS, counted in one pass: a row for each recipient and template, a column for each
-- week; as rows of weeks it took twice as long. Recipients who were sent alike are counted before their periods
-- are told apart: one by one that took a third of the time. What counts is in a function of its own that
-- RETURNs QUERY: nothing else of PL/pgSQL may use parallel workers. Site 0: all sites.
CREATE OR REPLACE FUNCTION mart.count_frequency(for_site bigint, for_month date)
RETURNS SETOF mart.sms_frequency
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0.001
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
    first_week date := mart.monday_of(for_month);
    after_weeks date := mart.monday_of(next_month - 1) + 7;
    fold_below integer := (SELECT f.below FROM mart.folding f);
BEGIN
    RETURN QUERY
    WITH sent AS (
        SELECT s.recipient, s.site_id, mart.template_of(s.template_id, s.message) AS template_id,
            (s.sent_on - first_week) / 7 AS week,
            s.sent_on >= for_month AND s.sent_on < next_month AS in_month
        FROM warehouse.calltouch_sms s
        WHERE (for_site = 0 OR s.site_id = for_site)
          AND s.sent_on >= first_week AND s.sent_on < after_weeks AND s.recipient IS NOT NULL
    ), had AS MATERIALIZED (
        SELECT sent.recipient, coalesce(p.category, 'rare') AS category, p.campaign,
            CASE WHEN for_site <> 0 THEN coalesce(p.same_as, p.template_id, mart.rare_id()) END AS template_id,
            count(*) FILTER (WHERE in_month)::integer AS month,
            count(*) FILTER (WHERE week = 0)::integer AS week_0,
            count(*) FILTER (WHERE week = 1)::integer AS week_1,
            count(*) FILTER (WHERE week = 2)::integer AS week_2,
            count(*) FILTER (WHERE week = 3)::integer AS week_3,
            count(*) FILTER (WHERE week = 4)::integer AS week_4,
            count(*) FILTER (WHERE week = 5)::integer AS week_5
        FROM sent
        LEFT JOIN mart.template p ON p.site_id = sent.site_id AND p.template_id = sent.template_id
        GROUP BY 1, 2, 3, 4
    ), whoever AS (
        SELECT 'all' AS dimension, '' AS member,
            sum(month) AS month, sum(week_0) AS week_0, sum(week_1) AS week_1, sum(week_2) AS week_2,
            sum(week_3) AS week_3, sum(week_4) AS week_4, sum(week_5) AS week_5
        FROM had GROUP BY recipient
        UNION ALL
        SELECT 'campaign', campaign,
            sum(month), sum(week_0), sum(week_1), sum(week_2), sum(week_3), sum(week_4), sum(week_5)
        FROM had WHERE campaign IS NOT NULL GROUP BY recipient, campaign
        UNION ALL
        SELECT 'category', category,
            sum(month), sum(week_0), sum(week_1), sum(week_2), sum(week_3), sum(week_4), sum(week_5)
        FROM had WHERE for_site <> 0 GROUP BY recipient, category
        UNION ALL
        SELECT 'template', template_id::text, month, week_0, week_1, week_2, week_3, week_4, week_5
        FROM had WHERE for_site <> 0
    ), alike AS (
        SELECT dimension, member, month, week_0, week_1, week_2, week_3, week_4, week_5, count(*) AS recipients
        FROM whoever GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ), counted AS (
        SELECT v.period, v.period_start, a.dimension, a.member, least(v.sent, 5) AS frequency,
            sum(a.recipients) AS recipients, sum(a.recipients * v.sent) AS messages
        FROM alike a CROSS JOIN LATERAL (VALUES
            ('month', for_month, a.month), ('week', first_week, a.week_0),
            ('week', first_week + 7, a.week_1), ('week', first_week + 14, a.week_2),
            ('week', first_week + 21, a.week_3), ('week', first_week + 28, a.week_4),
            ('week', first_week + 35, a.week_5)
        ) v (period, period_start, sent)
        WHERE v.sent > 0 GROUP BY 1, 2, 3, 4, 5
    )
    SELECT c.period, c.period_start, for_site, c.dimension, c.member, c.frequency::smallint,
        c.recipients::integer, c.messages::integer
    FROM (
        SELECT counted.*, sum(counted.recipients) OVER
            (PARTITION BY counted.period, counted.period_start, counted.dimension, counted.member) AS reached
        FROM counted
    ) c
    WHERE c.dimension <> 'template' OR c.reached >= fold_below;
END
$$;
COMMENT ON FUNCTION mart.count_frequency IS 'Distinct recipients of a month, and of the weeks it touches, by how many SMS they were sent: of all, each category, campaign and template of a site; site 0: of all sites and each campaign.';
