CREATE OR REPLACE FUNCTION ops.is_reader(login oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT r.rolcanlogin AND NOT r.rolsuper FROM pg_roles r WHERE r.oid = login)
    AND pg_has_role(login, 'warehouse_bi', 'MEMBER')
    AND NOT pg_has_role(login, 'warehouse_loader', 'MEMBER')
    AND NOT pg_has_role(login, 'warehouse_owner', 'MEMBER');
COMMENT ON FUNCTION ops.is_reader IS 'Whether a role can sign in and read bi, and is neither the loader nor the owner.';
GRANT EXECUTE ON FUNCTION ops.is_reader TO warehouse_loader;
