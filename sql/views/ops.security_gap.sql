CREATE OR REPLACE VIEW ops.security_gap AS
    SELECT format('PUBLIC may %s in database %s', lower(p.privilege), current_database()) AS gap,
           format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) AS mend
    FROM (VALUES ('CONNECT'), ('TEMPORARY'), ('CREATE')) AS p (privilege)
    WHERE has_database_privilege('public', current_database(), p.privilege)
    UNION ALL
    SELECT 'PUBLIC may create objects in schema public', 'REVOKE ALL ON SCHEMA public FROM PUBLIC'
    WHERE to_regnamespace('public') IS NOT NULL
      AND has_schema_privilege('public', to_regnamespace('public'), 'CREATE')
    UNION ALL
    SELECT format('PUBLIC may call %s', function), format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function)
    FROM ops.closed_function WHERE is_open
    UNION ALL
    SELECT format('the login %s reads bi without a limit: %s', login, name), mend
    FROM ops.reader_limit WHERE given IS NULL
    UNION ALL
    SELECT format('logins that read bi may take %s of %s connections, which leaves too few for the pipeline',
               readers, available),
           CASE WHEN to_regrole('pg_use_reserved_connections') IS NULL
                THEN 'ALTER ROLE … CONNECTION LIMIT …, until they are 60 less, or raise max_connections'
                ELSE 'ALTER SYSTEM SET reserved_connections = 60, restart the server, and GRANT'
                    ' pg_use_reserved_connections TO the logins of the pipeline and of Dagster' END
    FROM ops.connection_reserve WHERE NOT is_kept;

COMMENT ON VIEW ops.security_gap IS 'What should be closed or limited in this database and is not, because whoever migrated had no right to do it, or because a login was added later.';
COMMENT ON COLUMN ops.security_gap.gap IS 'What anybody, or a reader, may do.';
COMMENT ON COLUMN ops.security_gap.mend IS 'The statement that closes it, for a superuser.';
GRANT SELECT ON ops.security_gap TO warehouse_loader;
