-- Hours and reach store categories: where one changes with the id, the days are counted again.
CREATE OR REPLACE FUNCTION mart.count_with(of_site bigint, olds uuid[], news uuid[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.template_label
    SELECT DISTINCT ON (c.new) c.new, l.label, l.category, l.campaign
    FROM unnest(olds, news) AS c (old, new)
    JOIN mart.template_label l ON l.template_id = c.old
    ORDER BY c.new, c.old
    ON CONFLICT DO NOTHING;
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT of_site, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM unnest(olds, news) AS c (old, new)
    JOIN mart.template before ON before.site_id = of_site AND before.template_id = c.old
    JOIN mart.template after ON after.site_id = of_site AND after.template_id = c.new
    JOIN mart.sms_day d ON d.site_id = of_site AND d.template_id = c.old
    WHERE before.category <> after.category;
    -- How often people were sent a template is counted by months.
    INSERT INTO mart.stale (site_id, month)
    SELECT DISTINCT of_site, date_trunc('month', d.sent_on)::date
    FROM mart.sms_day d WHERE d.site_id = of_site AND d.template_id = ANY (olds);
    WITH moved AS (
        DELETE FROM mart.sms_template_hour h USING unnest(olds, news) AS c (old, new)
        WHERE h.site_id = of_site AND h.template_id = c.old
        RETURNING h.sent_on, c.new, h.hour, h.messages, h.delivered, h.failed
    )
    INSERT INTO mart.sms_template_hour AS s
        (sent_on, site_id, template_id, hour, messages, delivered, failed)
    SELECT m.sent_on, of_site, m.new, m.hour, sum(m.messages), sum(m.delivered), sum(m.failed)
    FROM moved m GROUP BY m.sent_on, m.new, m.hour
    ON CONFLICT (sent_on, site_id, template_id, hour) DO UPDATE
        SET messages = s.messages + excluded.messages, delivered = s.delivered + excluded.delivered,
            failed = s.failed + excluded.failed;
    WITH moved AS (
        DELETE FROM mart.sms_day d USING unnest(olds, news) AS c (old, new)
        WHERE d.site_id = of_site AND d.template_id = c.old
        RETURNING d.sent_on, c.new, d.country, d.outcome, d.reason, d.messages, d.segments, d.repeats
    )
    INSERT INTO mart.sms_day AS s
        (sent_on, site_id, template_id, country, outcome, reason, messages, segments, repeats)
    SELECT m.sent_on, of_site, m.new, m.country, m.outcome, m.reason, sum(m.messages),
        sum(m.segments), sum(m.repeats)
    FROM moved m GROUP BY m.sent_on, m.new, m.country, m.outcome, m.reason
    ON CONFLICT (sent_on, site_id, template_id, country, outcome, reason) DO UPDATE
        SET messages = s.messages + excluded.messages, segments = s.segments + excluded.segments,
            repeats = s.repeats + excluded.repeats;
END;
COMMENT ON FUNCTION mart.count_with IS 'From now on, count templates of a site under other ids, and keep their labels there.';
