-- CREATE DATABASE … TEMPLATE and most restores do not copy the privileges of the database itself,
-- so each migration calls this again. What the caller has no right to do is left as it is, and listed.
CREATE OR REPLACE FUNCTION ops.secure_database() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_superuser boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    owner        oid := (SELECT datdba FROM pg_database WHERE datname = current_database());
    closed       record;
    missing      record;
BEGIN
    IF is_superuser OR pg_has_role(owner, 'USAGE') THEN
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO warehouse_owner', current_database());
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO warehouse_loader', current_database());
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO warehouse_bi', current_database());
        IF to_regnamespace('public') IS NOT NULL THEN
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
        END IF;
    END IF;
    IF is_superuser THEN
        FOR closed IN SELECT * FROM ops.closed_function WHERE is_open LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', closed.function);
            IF closed.for_loader THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO warehouse_owner, warehouse_loader', closed.function);
            END IF;
        END LOOP;
    END IF;
    FOR missing IN SELECT l.mend FROM ops.reader_limit l WHERE l.given IS NULL LOOP
        BEGIN
            EXECUTE missing.mend;
        EXCEPTION WHEN insufficient_privilege OR internal_error THEN
            NULL;  -- not ours to give, or given by another database's migration at this moment
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ops.secure_database IS 'Closes the database to PUBLIC and limits the logins that read bi, as far as the caller has the right to; ops.security_gap lists the rest.';
