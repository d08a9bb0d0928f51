CREATE OR REPLACE FUNCTION mart.template_of(template_id uuid, message text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(template_id, CASE WHEN message IS NULL THEN mart.no_text_id() END);
COMMENT ON FUNCTION mart.template_of IS 'What an SMS is counted under: its template, or that of SMS without a text.';
