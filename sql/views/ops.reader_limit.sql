CREATE OR REPLACE VIEW ops.reader_limit AS
    SELECT r.rolname::text AS login, limits.name, limits.holds,
           CASE WHEN limits.name = 'CONNECTION LIMIT' THEN nullif(r.rolconnlimit, -1)::text
                ELSE nullif(nullif(split_part(given.setting, '=', 2), '-1'), '0') END AS given,
           format('ALTER ROLE %I %s', r.rolname,
               CASE WHEN limits.name = 'CONNECTION LIMIT' THEN format('CONNECTION LIMIT %s', limits.value)
                    WHEN limits.name = 'search_path' THEN format('SET search_path = %s', limits.value)
                    ELSE format('SET %s = %L', limits.name, limits.value) END) AS mend
    FROM pg_catalog.pg_roles r
    CROSS JOIN LATERAL (VALUES
        ('CONNECTION LIMIT', '20', true),
        ('temp_file_limit', '512MB', true),
        ('statement_timeout', '60s', false),
        ('idle_in_transaction_session_timeout', '60s', false),
        ('default_transaction_read_only', 'on', false),
        ('search_path', CASE WHEN pg_has_role(r.oid, 'warehouse_bi_pii', 'MEMBER')
                             THEN 'bi, bi_detail, bi_pii'
                             WHEN pg_has_role(r.oid, 'warehouse_bi_detail', 'MEMBER')
                             THEN 'bi, bi_detail' ELSE 'bi' END, false)
    ) AS limits (name, value, holds)
    LEFT JOIN LATERAL unnest(r.rolconfig) AS given (setting) ON split_part(given.setting, '=', 1) = limits.name
    WHERE ops.is_reader(r.oid);

COMMENT ON VIEW ops.reader_limit IS 'The limits of each login that reads bi. A limit belongs to the login; members do not inherit it.';
COMMENT ON COLUMN ops.reader_limit.login IS 'Role that signs in and is a member of warehouse_bi.';
COMMENT ON COLUMN ops.reader_limit.name IS 'The limit.';
COMMENT ON COLUMN ops.reader_limit.holds IS 'Whether the limit is enforced; the others are defaults, which a session may change by SET.';
COMMENT ON COLUMN ops.reader_limit.given IS 'Its value; NULL: none is set.';
COMMENT ON COLUMN ops.reader_limit.mend IS 'The statement that sets it; temp_file_limit: for a superuser.';
GRANT SELECT ON ops.reader_limit TO warehouse_loader;
