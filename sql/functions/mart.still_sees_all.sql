CREATE OR REPLACE FUNCTION mart.still_sees_all() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_user = 'warehouse_owner' OR (ops.serves(current_user) AND mart.refuse_held(current_user));
COMMENT ON FUNCTION mart.still_sees_all IS 'Returns true if the reader sees every account and this is no restored dump, else raises an error; evaluated when a query runs.';
GRANT EXECUTE ON FUNCTION mart.still_sees_all TO warehouse_bi;
