CREATE OR REPLACE FUNCTION mart.show_no_text(of_site bigint, cells mart.sms_cell[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label, category,
        published_at, names_masked)
    SELECT of_site, mart.no_text_id(), '(no text)', 'no text', '(no text)', 'no text', NULL, true
    WHERE EXISTS (SELECT FROM unnest(cells) c WHERE c.template_id = mart.no_text_id())
    ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION mart.show_no_text IS 'Add the template of SMS without a text, if the cells have such SMS.';
