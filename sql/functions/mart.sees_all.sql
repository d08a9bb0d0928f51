-- Declared IMMUTABLE, which it is not, so that the planner calls it and drops the half that it rules out.
CREATE OR REPLACE FUNCTION mart.sees_all() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN current_user = 'warehouse_owner' OR NOT mart.is_held(current_user);
COMMENT ON FUNCTION mart.sees_all IS 'Whether the reader sees every account; evaluated when a query is planned.';
GRANT EXECUTE ON FUNCTION mart.sees_all TO warehouse_bi;
