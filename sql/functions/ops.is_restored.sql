-- A restored dump is known by the place it stands in: the server (its system identifier), the database
-- (its oid) and the transaction that wrote the mark. A copy of the files keeps all of these; it is
-- behind: ops.privacy.erasures is lower than the highest number that a home or an exported list knows.
CREATE OR REPLACE FUNCTION ops.is_restored() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN NOT EXISTS (
    SELECT FROM ops.suppression_applied a
    WHERE a.xmin::text::bigint = a.written_by
      AND a.system_identifier IS NOT DISTINCT FROM ops.system_identifier()
      AND a.database_oid = ops.database_oid());
COMMENT ON FUNCTION ops.is_restored IS 'Whether this is a restored dump, or a copy that was found to be behind, to which the suppression list was not applied yet.';
GRANT EXECUTE ON FUNCTION ops.is_restored TO warehouse_loader;
