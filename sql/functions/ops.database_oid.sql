CREATE OR REPLACE FUNCTION ops.database_oid() RETURNS oid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
COMMENT ON FUNCTION ops.database_oid IS 'The oid of this database.';
GRANT EXECUTE ON FUNCTION ops.database_oid TO warehouse_loader;
