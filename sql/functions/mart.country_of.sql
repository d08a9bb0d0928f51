CREATE OR REPLACE FUNCTION mart.country_of(country text, recipient uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(country, CASE WHEN recipient IS NULL THEN 'none' ELSE 'unknown' END);
COMMENT ON FUNCTION mart.country_of IS 'The country that an SMS is counted under; none if the vendor reports no number.';
