CREATE OR REPLACE FUNCTION ops.timeline() RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_function_privilege('pg_control_checkpoint()', 'EXECUTE') THEN
        RETURN (SELECT c.timeline_id FROM pg_control_checkpoint() c);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.timeline IS 'The server''s timeline; it changes with a recovery or a failover. NULL: it may not be read.';
GRANT EXECUTE ON FUNCTION ops.timeline TO warehouse_loader;
