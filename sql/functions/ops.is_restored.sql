-- A restored dump is recognized by its place: the server (its system identifier), the database
-- (its oid) and the transaction that wrote the mark. A copy of the data directory has the same ones; it is
-- recognized by its age: ops.privacy.erasures is lower than the number that a home or an exported list knows.
CREATE OR REPLACE FUNCTION ops.is_restored() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN NOT EXISTS (
    SELECT FROM ops.suppression_applied a
    WHERE a.xmin::text::bigint = a.written_by
      AND a.system_identifier IS NOT DISTINCT FROM ops.system_identifier()
      AND a.database_oid = ops.database_oid());
COMMENT ON FUNCTION ops.is_restored IS 'Whether this is a restored dump, or a copy that was found to be behind, to which the suppression list was not applied yet.';
GRANT EXECUTE ON FUNCTION ops.is_restored TO warehouse_loader;
