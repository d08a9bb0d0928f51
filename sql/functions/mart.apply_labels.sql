CREATE OR REPLACE FUNCTION mart.apply_labels() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.template t
    SET label = now.label, category = now.category, campaign = now.campaign
    FROM (
        SELECT x.site_id, x.template_id,
            coalesce(l.label, x.masked_text, '(text no longer kept)') AS label,
            coalesce(l.category, shown.guessed_category) AS category, l.campaign
        FROM mart.template x
        JOIN mart.template shown
            ON shown.site_id = x.site_id AND shown.template_id = coalesce(x.same_as, x.template_id)
        LEFT JOIN mart.template_label l ON l.template_id = shown.template_id
    ) now
    WHERE t.site_id = now.site_id AND t.template_id = now.template_id
      AND (t.label, t.category, t.campaign) IS DISTINCT FROM (now.label, now.category, now.campaign);
END;
COMMENT ON FUNCTION mart.apply_labels IS 'Give every public template the label, category and campaign that stand for it now.';
