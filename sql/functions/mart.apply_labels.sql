-- A label belongs to the text: where the same text is shown under another id, at another site or after a name in
-- it was masked, it has the label that was given to the text. Hours, reach and frequency store categories and
-- campaigns: where one changes, days and months are counted again.
CREATE OR REPLACE FUNCTION mart.apply_labels() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH of_text AS (
        SELECT DISTINCT ON (t.masked_text) t.masked_text, l.label, l.category, l.campaign
        FROM mart.template t JOIN mart.template_label l ON l.template_id = t.template_id
        WHERE t.masked_text IS NOT NULL
        ORDER BY t.masked_text, t.same_as IS NOT NULL, t.published_at DESC, t.template_id
    ), changed AS (
        UPDATE mart.template t
        SET label = now.label, category = now.category, campaign = now.campaign
        FROM (
            SELECT x.site_id, x.template_id, x.category AS old_category, x.campaign AS old_campaign,
                coalesce(CASE WHEN l.template_id IS NULL THEN f.label ELSE l.label END,
                    x.masked_text, '(text no longer kept)') AS label,
                coalesce(CASE WHEN l.template_id IS NULL THEN f.category ELSE l.category END,
                    shown.guessed_category) AS category,
                CASE WHEN l.template_id IS NULL THEN f.campaign ELSE l.campaign END AS campaign
            FROM mart.template x
            JOIN mart.template shown
                ON shown.site_id = x.site_id AND shown.template_id = coalesce(x.same_as, x.template_id)
            LEFT JOIN mart.template_label l ON l.template_id = shown.template_id
            LEFT JOIN of_text f ON f.masked_text = shown.masked_text
        ) now
        WHERE t.site_id = now.site_id AND t.template_id = now.template_id
          AND (t.label, t.category, t.campaign) IS DISTINCT FROM (now.label, now.category, now.campaign)
        RETURNING t.site_id, t.template_id, now.old_category IS DISTINCT FROM t.category AS is_recounted,
            now.old_campaign IS DISTINCT FROM t.campaign AS is_moved
    )
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, CASE WHEN c.is_recounted THEN d.sent_on END
    FROM changed c
    JOIN mart.sms_day d ON d.site_id = c.site_id AND d.template_id = c.template_id
    WHERE c.is_recounted OR c.is_moved;
END;
COMMENT ON FUNCTION mart.apply_labels IS 'Give every public template the current label, category and campaign of its text, and queue the marts that depend on them to be counted again.';
