CREATE OR REPLACE VIEW ops.connection_reserve AS
    SELECT available, readers, reserved,
           readers + 60 <= available OR (reserved >= 60 AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_roles r
               WHERE r.rolcanlogin AND NOT r.rolsuper
                 AND (pg_has_role(r.oid, 'warehouse_loader', 'MEMBER') OR r.rolname = 'warehouse_dagster')
                 AND pg_has_role(r.oid, to_regrole('pg_use_reserved_connections'), 'USAGE') IS NOT TRUE)) AS is_kept
    FROM (
        SELECT current_setting('max_connections')::integer
                - current_setting('superuser_reserved_connections')::integer AS available,
            coalesce(current_setting('reserved_connections', true)::integer, 0) AS reserved,
            (SELECT coalesce(sum(coalesce(l.given::integer, current_setting('max_connections')::integer)), 0)
             FROM ops.reader_limit l WHERE l.name = 'CONNECTION LIMIT') AS readers
    ) AS counted;

COMMENT ON VIEW ops.connection_reserve IS 'Whether 60 connections are left for the pipeline, however many the readers take. One row.';
COMMENT ON COLUMN ops.connection_reserve.available IS 'Connections of the server, without those for superusers.';
COMMENT ON COLUMN ops.connection_reserve.readers IS 'Connections that all logins which read bi may take together.';
COMMENT ON COLUMN ops.connection_reserve.reserved IS 'Connections reserved for members of pg_use_reserved_connections (PostgreSQL 16 and later).';
COMMENT ON COLUMN ops.connection_reserve.is_kept IS 'Whether 60 are left for the pipeline''s and Dagster''s logins.';
GRANT SELECT ON ops.connection_reserve TO warehouse_loader;
