-- The tallies of rare templates start again: their recipients are pseudonyms under the old key. A
-- template without any row left is deleted with its label: nobody can compute its pseudonym under the new
-- key, and the old one must not be kept. The template of SMS without a text depends on no key,
-- and of those that share a text one that has a pseudonym under the new key is shown.
CREATE OR REPLACE FUNCTION mart.rekey_templates() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lost record;
BEGIN
    FOR lost IN
        SELECT t.site_id, array_agg(t.template_id) AS olds, array_agg(heir.template_id) AS news
        FROM mart.template t
        JOIN LATERAL (
            SELECT m.template_id FROM mart.template m
            JOIN ops.rekeyed_pseudonym p ON p.kind = 'template' AND p.old = m.template_id
            WHERE m.site_id = t.site_id AND m.same_as = t.template_id
            ORDER BY m.published_at, m.template_id LIMIT 1
        ) heir ON true
        WHERE NOT EXISTS (
            SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id)
        GROUP BY t.site_id
    LOOP
        PERFORM mart.count_with(lost.site_id, lost.olds, lost.news);
        UPDATE mart.template t SET same_as = nullif(c.new, t.template_id)
        FROM unnest(lost.olds, lost.news) AS c (old, new)
        WHERE t.site_id = lost.site_id AND t.same_as = c.old;
    END LOOP;
    DELETE FROM mart.template t
    WHERE t.template_id NOT IN (mart.rare_id(), mart.no_text_id()) AND NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    DELETE FROM mart.template_label t
    WHERE t.template_id <> mart.no_text_id() AND NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    UPDATE mart.template t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.template t SET same_as = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.same_as;
    UPDATE mart.template_label t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_day t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_template_hour t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_frequency t SET member = p.new::text
    FROM ops.rekeyed_pseudonym p
    WHERE p.kind = 'template' AND t.dimension = 'template' AND p.old::text = t.member;
    DELETE FROM mart.rare_template;
END
$$;
COMMENT ON FUNCTION mart.rekey_templates IS 'Give templates their new pseudonyms from ops.rekeyed_pseudonym; templates without one are deleted.';
GRANT EXECUTE ON FUNCTION mart.rekey_templates TO warehouse_loader;
