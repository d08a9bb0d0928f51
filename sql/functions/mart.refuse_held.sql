-- A cached plan may be run after its reader lost the right to see all accounts.
CREATE OR REPLACE FUNCTION mart.refuse_held(works_as name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF mart.is_held(works_as) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'which accounts this session may see has changed since the query was planned',
            HINT = 'Connect again.';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION mart.refuse_held IS 'Returns true; raises an error if mart.is_held().';
GRANT EXECUTE ON FUNCTION mart.refuse_held TO warehouse_bi;
