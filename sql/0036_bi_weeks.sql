-- Reach by week beside reach by month; what an answer of a whole history has told is no gap; what is
-- kept of rare and of forgotten templates; names in texts that are shown already.

SET ROLE warehouse_owner;

-- Of a source whose every answer tells all days, a day without rows is told up to the day before the
-- last answer that stands, whichever days that load gave receipts to.
CREATE OR REPLACE VIEW mart.expected_day WITH (security_barrier) AS
SELECT s.source, s.vendor, a.account, a.label, a.time_zone, d.day, told.until AS told_until
FROM (SELECT DISTINCT source, vendor, tells_all_days FROM mart.source_channel) s
JOIN mart.visible_account a ON a.vendor = s.vendor
CROSS JOIN LATERAL (
    SELECT min(x.day) AS first, max(x.day) AS last FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account) was_loaded
CROSS JOIN LATERAL (
    SELECT greatest(was_loaded.last, max(e.last_day) - 1) AS until FROM ops.extraction e
    WHERE s.tells_all_days AND e.extraction_id IN (
        SELECT x.extraction_id FROM ops.day_state x
        WHERE x.source = s.source AND x.account = a.account)) told
JOIN mart.date_day d ON d.day >= was_loaded.first
    AND d.day <= greatest(was_loaded.last, (now() AT TIME ZONE a.time_zone)::date - 1)
WHERE NOT s.tells_all_days OR d.day > told.until OR EXISTS (
    SELECT FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account AND x.day = d.day);
COMMENT ON COLUMN mart.expected_day.told_until IS 'Last day of which all is known.';

CREATE OR REPLACE VIEW bi.data_until WITH (security_barrier) AS
SELECT e.source, e.vendor, e.account, e.label AS account_label, min(e.day) AS first_day,
    max(e.told_until) AS data_until,
    max(s.day) FILTER (WHERE s.settled) AS settled_until,
    coalesce(min(e.day) FILTER (WHERE s.day IS NULL) - 1, max(e.told_until)) AS complete_until,
    count(*) FILTER (WHERE s.day IS NULL) AS gap_days,
    count(*) FILTER (WHERE NOT s.settled) AS unsettled_days,
    count(*) FILTER (WHERE s.held IS NOT NULL) AS held_days,
    greatest((now() AT TIME ZONE e.time_zone)::date - 1 - max(e.told_until), 0) AS days_behind
FROM mart.expected_day e
LEFT JOIN ops.day_state s ON s.source = e.source AND s.account = e.account AND s.day = e.day
GROUP BY e.source, e.vendor, e.account, e.label, e.time_zone;
COMMENT ON COLUMN bi.data_until.data_until IS 'Last loaded day; of tellody_purchases, whose every answer tells all days, the day before the last answer.';
COMMENT ON VIEW bi.data_status IS 'Every day that should be loaded, by source and account: from the first loaded day to yesterday. Of tellody_purchases, whose every answer tells all days, days without a purchase that an answer has told have no row. Source: the pipeline''s receipts.';

CREATE FUNCTION mart.monday_of(of_day date) RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN of_day - (extract(isodow FROM of_day)::integer - 1);
COMMENT ON FUNCTION mart.monday_of IS 'The first day of the day''s ISO week.';

-- One scan for the month and for the weeks that it touches, each of them whole.
CREATE OR REPLACE FUNCTION mart.refresh_month(for_site bigint, for_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
    first_week date := mart.monday_of(for_month);
    after_weeks date := mart.monday_of(next_month - 1) + 7;
    reach mart.sms_reach[];
    bad mart.sms_bad_numbers[];
BEGIN
    WITH had AS MATERIALIZED (
        SELECT mart.monday_of(s.sent_on) AS week,
            s.sent_on >= for_month AND s.sent_on < next_month AS in_month, s.recipient,
            coalesce(p.category, 'rare') AS category, count(*)::integer AS messages
        FROM warehouse.calltouch_sms s
        LEFT JOIN mart.template p ON p.site_id = for_site AND p.template_id = s.template_id
        WHERE s.site_id = for_site AND s.sent_on >= first_week AND s.sent_on < after_weeks
        GROUP BY 1, 2, 3, 4
    ), had_within AS MATERIALIZED (
        SELECT 'month' AS period, for_month AS period_start, recipient, category,
            sum(messages)::integer AS messages
        FROM had WHERE in_month GROUP BY recipient, category
        UNION ALL
        SELECT 'week', week, recipient, category, sum(messages)::integer
        FROM had GROUP BY week, recipient, category
    ), counted AS (
        SELECT period, period_start, category, count(*) AS recipients,
            count(*) FILTER (WHERE messages >= 4) AS often, sum(messages) AS messages
        FROM had_within GROUP BY period, period_start, category
        UNION ALL
        SELECT period, period_start, 'all', count(*), count(*) FILTER (WHERE messages >= 4),
            sum(messages)
        FROM (
            SELECT period, period_start, sum(messages)::integer AS messages FROM had_within
            GROUP BY period, period_start, recipient
        ) every
        GROUP BY period, period_start
    )
    SELECT array_agg((period, period_start, for_site, category, recipients, often, messages)
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
COMMENT ON FUNCTION mart.refresh_month IS 'Count a month''s recipients of a site afresh, and those of the weeks it touches: reach and bad numbers.';

CREATE OR REPLACE FUNCTION mart.write_month(
    for_site bigint, for_month date, reach mart.sms_reach[], bad mart.sms_bad_numbers[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first_week date := mart.monday_of(for_month);
    last_day date := (for_month + interval '1 month')::date - 1;
BEGIN
    DELETE FROM mart.sms_reach old USING (
        SELECT * FROM mart.sms_reach
        WHERE site_id = for_site AND (period = 'month' AND period_start = for_month
            OR period = 'week' AND period_start BETWEEN first_week AND last_day)
        EXCEPT SELECT * FROM unnest(reach)
    ) gone
    WHERE old.period = gone.period AND old.period_start = gone.period_start
      AND old.site_id = for_site AND old.category = gone.category;
    INSERT INTO mart.sms_reach
    SELECT * FROM unnest(reach)
    EXCEPT SELECT * FROM mart.sms_reach WHERE site_id = for_site;

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
COMMENT ON FUNCTION mart.write_month IS 'Make the distinct counts of the month, and of the weeks it touches, equal to these.';
COMMENT ON TABLE mart.sms_reach IS 'Distinct recipients by month or week, site and category. Does not add up over any column. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_reach.period IS 'month, or week (ISO: Monday to Sunday).';
COMMENT ON VIEW bi.sms_reach IS 'Distinct recipients by month or by week, site and category. Does not add up, over periods, sites or categories: the row all counts each recipient once. Choose one period. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_reach.period IS 'month, or week (ISO: Monday to Sunday).';
INSERT INTO mart.stale (site_id, month)
SELECT DISTINCT r.site_id, r.period_start FROM mart.sms_reach r WHERE r.period = 'month';

CREATE FUNCTION mart.prune_rare_templates(before date) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH gone AS (
        DELETE FROM mart.rare_template r WHERE r.last_seen_on < prune_rare_templates.before
        RETURNING 1
    )
    SELECT count(*) FROM gone;
END;
COMMENT ON FUNCTION mart.prune_rare_templates IS 'Forget the tallies of rare templates that were not sent since; answers how many.';

-- As before, and a template of which no row is left goes with its label: nobody can compute its
-- pseudonym under the new key, and the old one is to say nothing any more.
CREATE OR REPLACE FUNCTION mart.rekey_templates() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM mart.template t
    WHERE t.template_id <> mart.rare_id() AND NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    DELETE FROM mart.template_label t
    WHERE NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    UPDATE mart.template t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.template_label t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_day t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    DELETE FROM mart.rare_template;
END
$$;
COMMENT ON FUNCTION mart.rekey_templates IS 'Give templates their new pseudonyms, as ops.rekeyed_pseudonym has them; what has none goes.';

-- Texts that were shown before first names were masked are masked once more, when the marts are next
-- brought up to date.
ALTER TABLE mart.template ADD COLUMN names_masked boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN mart.template.names_masked IS 'Whether the text went through the masking of first names.';

CREATE OR REPLACE FUNCTION mart.name_templates(of_site bigint, ids uuid[], texts text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE mart.template t
    SET masked_text = regexp_replace(given.masked,
            '[А-ЯЁ][а-яё]+(-[А-ЯЁ][а-яё]+)? ([А-ЯЁ][а-яё]+(ич|вна|чна|шна)\M)', '{name}', 'g'),
        names_masked = true
    FROM unnest(ids, texts) AS given (template_id, masked)
    WHERE t.site_id = of_site AND t.template_id = given.template_id;
    -- Texts that differ in the word before their first comma alone begin with a form of address.
    UPDATE mart.template t
    SET masked_text = '{name}' || addressed.tail
    FROM (
        SELECT split.tail FROM mart.template x, mart.split_address(x.masked_text) AS split
        WHERE x.site_id = of_site AND split.head IS NOT NULL
        GROUP BY split.tail HAVING count(DISTINCT split.head) >= 2
    ) addressed
    WHERE t.site_id = of_site AND (mart.split_address(t.masked_text)).tail = addressed.tail
      AND t.masked_text NOT LIKE '{name},%';
    PERFORM mart.apply_labels();
END
$$;
COMMENT ON FUNCTION mart.name_templates IS 'Set the masked texts of templates, and mask the names that they address.';

CREATE FUNCTION mart.texts_to_mask() RETURNS TABLE (of_site bigint, ids uuid[], texts text[])
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.site_id, array_agg(t.template_id), array_agg(t.masked_text)
    FROM mart.template t
    WHERE t.masked_text IS NOT NULL AND NOT t.names_masked AND t.template_id <> mart.rare_id()
    GROUP BY t.site_id;
END;
COMMENT ON FUNCTION mart.texts_to_mask IS 'Texts that are shown and did not go through the masking of first names, by site.';

REVOKE ALL ON FUNCTION mart.monday_of(date), mart.prune_rare_templates(date), mart.texts_to_mask()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mart.prune_rare_templates(date), mart.texts_to_mask() TO warehouse_loader;

RESET ROLE;
