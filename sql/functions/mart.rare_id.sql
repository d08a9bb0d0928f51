CREATE OR REPLACE FUNCTION mart.rare_id() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;
COMMENT ON FUNCTION mart.rare_id IS 'The template_id that stands for all rare templates.';
