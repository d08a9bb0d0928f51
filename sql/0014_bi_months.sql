-- Distinct counts of a month, and the queue of what is to be counted afresh.
--
-- A load leaves a note in mart.stale; whoever works the queue deletes the notes it can see and then
-- counts, so what commits meanwhile leaves a note that stays.

SET ROLE warehouse_owner;

CREATE FUNCTION mart.take_stale() RETURNS TABLE (of_site bigint, of_month date, of_days date[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    note record;
    is_busy boolean := false;
BEGIN
    FOR note IN
        SELECT s.site_id, s.month FROM mart.stale s GROUP BY 1, 2 ORDER BY min(s.stale_id)
    LOOP
        IF NOT pg_try_advisory_xact_lock(hashtextextended('months of site ' || note.site_id, 0)) THEN
            is_busy := true;
            CONTINUE;
        END IF;
        WITH taken AS (
            DELETE FROM mart.stale s WHERE s.site_id = note.site_id AND s.month = note.month
            RETURNING s.day
        )
        SELECT note.site_id, note.month,
            coalesce(array_agg(DISTINCT t.day) FILTER (WHERE t.day IS NOT NULL), '{}')
        INTO of_site, of_month, of_days FROM taken t HAVING count(*) > 0;
        IF FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
    END LOOP;
    IF is_busy THEN
        of_site := NULL;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION mart.take_stale IS 'Take a month of a site out of the queue, and the days of it whose additive marts are stale. No row: nothing is left; a row of NULLs: what is left belongs to sites that other sessions are counting.';

CREATE FUNCTION mart.mark_stale(sites bigint[], days date[], months_only boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT s, date_trunc('month', d)::date, CASE WHEN NOT months_only THEN d END
    FROM unnest(sites) s, unnest(days) d;
END;
COMMENT ON FUNCTION mart.mark_stale IS 'Have the distinct counts of these days'' months counted afresh, and the days themselves unless months_only.';

CREATE FUNCTION mart.refresh_month(for_site bigint, for_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
    reach mart.sms_reach[];
    bad mart.sms_bad_numbers[];
BEGIN
    WITH had AS MATERIALIZED (
        SELECT s.recipient, coalesce(p.category, 'rare') AS category,
            count(*)::integer AS messages
        FROM warehouse.calltouch_sms s
        LEFT JOIN mart.template p ON p.site_id = for_site AND p.template_id = s.template_id
        WHERE s.site_id = for_site AND s.sent_on >= for_month AND s.sent_on < next_month
        GROUP BY 1, 2
    ), counted AS (
        SELECT category, count(*) AS recipients, count(*) FILTER (WHERE messages >= 4) AS often,
            sum(messages) AS messages
        FROM had GROUP BY category
        UNION ALL
        SELECT 'all', count(*), count(*) FILTER (WHERE messages >= 4), sum(messages)
        FROM (SELECT sum(messages)::integer AS messages FROM had GROUP BY recipient) every
        HAVING count(*) > 0
    )
    SELECT array_agg(('month', for_month, for_site, category, recipients, often, messages)
        ::mart.sms_reach) INTO reach FROM counted;

    SELECT array_agg((for_month, for_site, reason, recipients, wasted)::mart.sms_bad_numbers)
    INTO bad FROM (
        SELECT reason, count(*) AS recipients, sum(failures - 1) AS wasted
        FROM (
            SELECT s.recipient, coalesce(s.reason, 'none') AS reason,
                count(*)::integer AS failures
            FROM warehouse.calltouch_sms s
            WHERE s.site_id = for_site AND s.sent_on >= for_month AND s.sent_on < next_month
              AND s.outcome = 'failed'
            GROUP BY 1, 2
        ) failed
        WHERE failures >= 2 GROUP BY reason
    ) repeated;
    PERFORM mart.write_month(for_site, for_month, reach, bad);
END
$$;
COMMENT ON FUNCTION mart.refresh_month IS 'Count a month''s recipients of a site afresh: reach and bad numbers.';

CREATE FUNCTION mart.write_month(
    for_site bigint, for_month date, reach mart.sms_reach[], bad mart.sms_bad_numbers[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM mart.sms_reach old USING (
        SELECT * FROM mart.sms_reach
        WHERE period = 'month' AND period_start = for_month AND site_id = for_site
        EXCEPT SELECT * FROM unnest(reach)
    ) gone
    WHERE old.period = 'month' AND old.period_start = for_month AND old.site_id = for_site
      AND old.category = gone.category;
    INSERT INTO mart.sms_reach
    SELECT * FROM unnest(reach)
    EXCEPT SELECT * FROM mart.sms_reach
    WHERE period = 'month' AND period_start = for_month AND site_id = for_site;

    DELETE FROM mart.sms_bad_numbers old USING (
        SELECT * FROM mart.sms_bad_numbers WHERE month = for_month AND site_id = for_site
        EXCEPT SELECT * FROM unnest(bad)
    ) gone
    WHERE old.month = for_month AND old.site_id = for_site AND old.reason = gone.reason;
    INSERT INTO mart.sms_bad_numbers
    SELECT * FROM unnest(bad)
    EXCEPT SELECT * FROM mart.sms_bad_numbers WHERE month = for_month AND site_id = for_site;
END
$$;
COMMENT ON FUNCTION mart.write_month IS 'Make the month''s distinct counts equal to these.';

-- Tables this small are not analyzed by autovacuum; without statistics on them the planner thinks that
-- a filter on a label or a category leaves one row, and joins in loops.
CREATE FUNCTION mart.renew_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ANALYZE mart.account, mart.template, mart.template_label, mart.source_channel, ops.bi_grant;
END
$$;
COMMENT ON FUNCTION mart.renew_statistics IS 'Renew the planner''s statistics of the tables that name things.';

RESET ROLE;
