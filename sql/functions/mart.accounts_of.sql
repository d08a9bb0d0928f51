-- A role is held to ops.bi_grant when a row there names it or a role it belongs to. The user that
-- signed in counts beside the role it works as: SET ROLE to a wider role gains nothing.
CREATE OR REPLACE FUNCTION mart.accounts_of(works_as name) RETURNS SETOF mart.account
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.* FROM mart.account a
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles who
        WHERE who.rolname IN (works_as, session_user) AND NOT who.rolsuper
          AND EXISTS (
              SELECT FROM ops.bi_grant g
              JOIN pg_catalog.pg_roles named ON named.oid = g.role
              WHERE pg_has_role(who.oid, named.oid, 'MEMBER'))
          AND NOT EXISTS (
              SELECT FROM ops.bi_grant g
              JOIN pg_catalog.pg_roles named ON named.oid = g.role
              WHERE pg_has_role(who.oid, named.oid, 'MEMBER')
                AND g.vendor = a.vendor AND coalesce(g.account, a.account) = a.account));
END;
COMMENT ON FUNCTION mart.accounts_of IS 'The accounts that both the user that signed in and this role may see.';
