CREATE OR REPLACE FUNCTION mart.texts_to_mask() RETURNS TABLE (of_site bigint, ids uuid[], texts text[])
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.site_id, array_agg(t.template_id), array_agg(t.masked_text)
    FROM mart.template t
    WHERE t.masked_text IS NOT NULL AND NOT t.names_masked AND t.template_id <> mart.rare_id()
    GROUP BY t.site_id;
END;
COMMENT ON FUNCTION mart.texts_to_mask IS 'Texts, by site, that are shown and whose first names were not masked yet.';
GRANT EXECUTE ON FUNCTION mart.texts_to_mask TO warehouse_loader;
