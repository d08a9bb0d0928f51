CREATE OR REPLACE FUNCTION mart.is_held(works_as name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM ops.bi_grant g
        JOIN pg_roles named ON named.oid = g.role
        JOIN pg_roles who ON pg_has_role(who.oid, named.oid, 'MEMBER')
        WHERE who.rolname IN (works_as, session_user) AND NOT who.rolsuper);
END
$$;
COMMENT ON FUNCTION mart.is_held IS 'Whether the user that signed in, or the role it works as, is held to rows of ops.bi_grant.';
GRANT EXECUTE ON FUNCTION mart.is_held TO warehouse_bi;
