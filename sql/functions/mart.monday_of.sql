CREATE OR REPLACE FUNCTION mart.monday_of(of_day date) RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN of_day - (extract(isodow FROM of_day)::integer - 1);
COMMENT ON FUNCTION mart.monday_of IS 'The first day of the day''s ISO week.';
