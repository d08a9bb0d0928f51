CREATE OR REPLACE FUNCTION mart.no_text_id() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000001'::uuid;
COMMENT ON FUNCTION mart.no_text_id IS 'The template_id that stands for SMS whose text the vendor does not tell.';
