-- A dump that is restored by hand grants readers what the original granted them, before any
-- program of ours has checked it. So the views of bi check it themselves, once in each query.
CREATE OR REPLACE FUNCTION ops.serves(reader name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_has_role(reader, 'warehouse_owner', 'MEMBER')
       OR pg_has_role(reader, 'warehouse_loader', 'MEMBER')
       OR NOT ops.is_restored() THEN
        RETURN true;
    END IF;
    RAISE insufficient_privilege USING
        MESSAGE = 'this warehouse is a restored dump, to which the list of erased people was not applied yet',
        HINT = 'The administrator runs: warehouse forget --import FILE, or warehouse forget --again.';
END
$$;
COMMENT ON FUNCTION ops.serves IS 'True; fails for readers of a restored dump to which the suppression list was not applied yet.';
GRANT EXECUTE ON FUNCTION ops.serves TO warehouse_bi, warehouse_loader;
