CREATE OR REPLACE FUNCTION ops.system_identifier() RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        RETURN (SELECT c.system_identifier FROM pg_control_system() c);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.system_identifier IS 'The number that initdb gave the server, the same on its replicas; NULL: warehouse_owner may not read it.';
GRANT EXECUTE ON FUNCTION ops.system_identifier TO warehouse_loader;
