-- Built-in functions by which a reader could stop the loader or fill the disk. Closing pg_notify does
-- little: the command NOTIFY stays open to everybody. pg_logical_emit_message has another
-- signature from 17 on. If it were closed on 15 or 16, a dump would name a function that a later server lacks,
-- and pg_upgrade would fail.
CREATE OR REPLACE VIEW ops.closed_function AS
    SELECT p.oid::regprocedure AS function, p.proname LIKE '%advisory%' AS for_loader,
           has_function_privilege('public', p.oid, 'EXECUTE') AS is_open
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_'
           OR p.proname ~ '^lo_(creat|create|from_bytea|put|import|open|truncate|truncate64)$'
           OR p.proname IN ('lowrite', 'pg_notify', 'pg_export_snapshot', 'pg_current_xact_id', 'txid_current')
           OR p.proname = 'pg_logical_emit_message'
              AND current_setting('server_version_num')::integer >= 170000);

COMMENT ON VIEW ops.closed_function IS 'Built-in functions that PUBLIC may not execute in this database.';
COMMENT ON COLUMN ops.closed_function.function IS 'The function, with its argument types.';
COMMENT ON COLUMN ops.closed_function.for_loader IS 'Whether the pipeline needs it (advisory locks).';
COMMENT ON COLUMN ops.closed_function.is_open IS 'Whether anybody may still execute it: only a superuser can change that.';
GRANT SELECT ON ops.closed_function TO warehouse_loader;
