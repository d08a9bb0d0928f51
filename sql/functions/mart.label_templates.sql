CREATE OR REPLACE FUNCTION mart.label_templates(
    ids uuid[], labels text[], categories text[], campaigns text[]
) RETURNS TABLE (named uuid, label text, category text, campaign text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- Under the id that is shown now, even if the file has an id that was shown before.
    RETURN QUERY
    WITH given AS (
        SELECT DISTINCT ON (coalesce(t.same_as, g.id)) coalesce(t.same_as, g.id) AS template_id,
            g.label, g.category, g.campaign
        FROM unnest(ids, labels, categories, campaigns) WITH ORDINALITY
            AS g (id, label, category, campaign, place)
        LEFT JOIN mart.template t ON t.template_id = g.id
        ORDER BY coalesce(t.same_as, g.id), t.same_as IS NOT NULL, g.place
    )
    INSERT INTO mart.template_label AS l
    SELECT g.* FROM given g
    WHERE NOT EXISTS (
        SELECT FROM mart.template_label o WHERE o.template_id = g.template_id
          AND (o.label, o.category, o.campaign) IS NOT DISTINCT FROM (g.label, g.category, g.campaign))
    ON CONFLICT (template_id) DO UPDATE
        SET label = excluded.label, category = excluded.category, campaign = excluded.campaign
    RETURNING l.template_id, l.label, l.category, l.campaign;
    PERFORM mart.apply_labels();
END
$$;
COMMENT ON FUNCTION mart.label_templates IS 'Set label, category and campaign of templates, and queue the marts that depend on them to be counted again; returns the templates whose names changed.';
GRANT EXECUTE ON FUNCTION mart.label_templates TO warehouse_loader;
