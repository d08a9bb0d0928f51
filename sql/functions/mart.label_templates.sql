CREATE OR REPLACE FUNCTION mart.label_templates(
    ids uuid[], labels text[], categories text[], campaigns text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Under the id that is shown, also where the file has one that was shown before.
    shown uuid[] := ARRAY(
        SELECT DISTINCT coalesce(t.same_as, g.id) FROM unnest(ids) AS g (id)
        LEFT JOIN mart.template t ON t.template_id = g.id);
    before jsonb := (SELECT jsonb_object_agg(c.site_id || ' ' || c.template_id, c.category)
        FROM mart.template c WHERE c.template_id = ANY (shown));
    changed bigint;
BEGIN
    WITH given AS (
        SELECT DISTINCT ON (coalesce(t.same_as, g.id)) coalesce(t.same_as, g.id) AS template_id,
            g.label, g.category, g.campaign
        FROM unnest(ids, labels, categories, campaigns) WITH ORDINALITY
            AS g (id, label, category, campaign, place)
        LEFT JOIN mart.template t ON t.template_id = g.id
        ORDER BY coalesce(t.same_as, g.id), t.same_as IS NOT NULL, g.place
    ), named AS (
        INSERT INTO mart.template_label AS l
        SELECT g.* FROM given g
        WHERE NOT EXISTS (
            SELECT FROM mart.template_label o WHERE o.template_id = g.template_id
              AND (o.label, o.category, o.campaign) IS NOT DISTINCT FROM (g.label, g.category, g.campaign))
        ON CONFLICT (template_id) DO UPDATE
            SET label = excluded.label, category = excluded.category, campaign = excluded.campaign
        RETURNING 1
    )
    SELECT count(*) INTO changed FROM named;
    PERFORM mart.apply_labels();
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM mart.template c
    JOIN mart.sms_day d ON d.site_id = c.site_id AND d.template_id = c.template_id
    WHERE c.template_id = ANY (shown)
      AND before ->> (c.site_id || ' ' || c.template_id) IS DISTINCT FROM c.category;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mart.label_templates IS 'Set label, category and campaign of templates, and have the days counted afresh whose categories change; answers how many templates changed.';
GRANT EXECUTE ON FUNCTION mart.label_templates TO warehouse_loader;
