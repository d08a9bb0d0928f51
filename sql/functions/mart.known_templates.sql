CREATE OR REPLACE FUNCTION mart.known_templates(ids uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.template_id FROM mart.template t WHERE t.template_id = ANY (ids)
    UNION SELECT l.template_id FROM mart.template_label l WHERE l.template_id = ANY (ids);
END;
COMMENT ON FUNCTION mart.known_templates IS 'Which of these templates are shown, were shown, or have a label.';
GRANT EXECUTE ON FUNCTION mart.known_templates TO warehouse_loader;
