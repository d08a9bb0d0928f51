-- A restored dump is known by the place it stands in, and by the number of its newest erasure.
--
-- The mark of 0035 compared transaction numbers, which are equal on two young servers. It now also names
-- the server (its system identifier) and the database (its oid): a dump restored on another server or
-- into another database of the same one, and a database made from a template, stand elsewhere.
-- A copy of the files keeps all of these. It is behind: each erasure raises ops.privacy.erasures, and
-- the highest number seen is also kept outside, in each home and in each exported suppression list.

SET ROLE warehouse_owner;

ALTER TABLE ops.privacy
    ADD COLUMN warehouse_id uuid,
    ADD COLUMN erasures bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN ops.privacy.warehouse_id IS 'Tells this warehouse, its copies and its restored dumps from other warehouses. From the instant of its first migration, so that a copy of an earlier schema has the same.';
COMMENT ON COLUMN ops.privacy.erasures IS 'Number of the newest erasure whose people stand on the suppression list; only grows. A copy with a lower number than a home or an exported list knows is from before that erasure.';

UPDATE ops.privacy SET
    warehouse_id = (SELECT md5(extract(epoch FROM min(m.applied_at))::text)::uuid FROM ops.migration m),
    erasures = (SELECT coalesce(max(e.erasure_id), 0) FROM ops.erasure e);
ALTER TABLE ops.privacy ALTER COLUMN warehouse_id SET NOT NULL;

ALTER TABLE ops.suppression_applied
    ADD COLUMN system_identifier bigint,
    ADD COLUMN database_oid oid;
COMMENT ON TABLE ops.suppression_applied IS 'That all rows are without the numbers of the suppression list; one row, or none. It is void on another server or in another database than it names, and where another transaction than it names wrote it: after a restore. Source: the pipeline.';
COMMENT ON COLUMN ops.suppression_applied.system_identifier IS 'The server that this is about, as pg_control_system() names it; NULL: it does not tell.';
COMMENT ON COLUMN ops.suppression_applied.database_oid IS 'The database of that server that this is about.';

CREATE FUNCTION ops.system_identifier() RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        RETURN (SELECT c.system_identifier FROM pg_control_system() c);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.system_identifier() IS 'The number that initdb gave the server, the same on its replicas; NULL: warehouse_owner may not ask for it.';

CREATE FUNCTION ops.database_oid() RETURNS oid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
COMMENT ON FUNCTION ops.database_oid() IS 'The oid of this database.';

CREATE OR REPLACE FUNCTION ops.is_restored() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN NOT EXISTS (
    SELECT FROM ops.suppression_applied a
    WHERE a.xmin::text::bigint = a.written_by
      AND a.system_identifier IS NOT DISTINCT FROM ops.system_identifier()
      AND a.database_oid = ops.database_oid());
COMMENT ON FUNCTION ops.is_restored() IS 'Whether this is a restored dump, or a copy that was found to be behind, to which the suppression list was not applied yet.';

DROP FUNCTION ops.close_restored();
CREATE FUNCTION ops.close_restored(seen bigint DEFAULT 0) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT ops.is_restored() AND seen <= (SELECT p.erasures FROM ops.privacy p) THEN
        RETURN false;
    END IF;
    LOCK TABLE ops.suppression_applied IN SHARE ROW EXCLUSIVE MODE;
    -- So that those who have not seen that number know it from now on, too.
    DELETE FROM ops.suppression_applied;
    IF has_schema_privilege('warehouse_bi', 'bi', 'USAGE')
       OR has_schema_privilege('warehouse_bi_pii', 'bi_pii', 'USAGE') THEN
        REVOKE USAGE ON SCHEMA bi FROM warehouse_bi;
        REVOKE USAGE ON SCHEMA bi_pii FROM warehouse_bi_pii;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION ops.close_restored(bigint) IS 'Closes schemas bi and bi_pii to readers where ops.is_restored(), or where an erasure with a higher number than this database knows was seen; answers whether it is so.';

DROP FUNCTION ops.suppression_was_applied();
CREATE FUNCTION ops.suppression_was_applied(seen bigint DEFAULT 0) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE ops.suppression_applied IN SHARE ROW EXCLUSIVE MODE;
    UPDATE ops.privacy SET erasures = seen WHERE erasures < seen;
    DELETE FROM ops.suppression_applied;
    INSERT INTO ops.suppression_applied (written_by, timeline, system_identifier, database_oid)
    VALUES (0, ops.timeline(), ops.system_identifier(), ops.database_oid());
    -- Its own xmin, which within a savepoint is not the transaction's id.
    UPDATE ops.suppression_applied SET written_by = xmin::text::bigint;
    GRANT USAGE ON SCHEMA bi TO warehouse_bi;
    GRANT USAGE ON SCHEMA bi_pii TO warehouse_bi_pii;
END
$$;
COMMENT ON FUNCTION ops.suppression_was_applied(bigint) IS 'Notes that the suppression list was applied to all rows of this database, up to the erasure of this number, and lets readers in.';

REVOKE ALL ON FUNCTION ops.system_identifier(), ops.database_oid(), ops.close_restored(bigint),
    ops.suppression_was_applied(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.system_identifier(), ops.database_oid(), ops.close_restored(bigint),
    ops.suppression_was_applied(bigint) TO warehouse_loader;

-- A dump that somebody restores by hand grants readers what the original granted them, before any
-- program of ours has looked at it. So the views of bi ask for themselves, once a query.
CREATE FUNCTION ops.serves(reader name) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_has_role(reader, 'warehouse_owner', 'MEMBER')
       OR pg_has_role(reader, 'warehouse_loader', 'MEMBER')
       OR NOT ops.is_restored() THEN
        RETURN true;
    END IF;
    RAISE insufficient_privilege USING
        MESSAGE = 'this warehouse is a restored dump, to which the list of erased people was not applied yet',
        HINT = 'The administrator runs: warehouse forget --import FILE, or warehouse forget --again.';
END
$$;
COMMENT ON FUNCTION ops.serves(name) IS 'True; fails for readers of a restored dump to which the suppression list was not applied yet.';
REVOKE ALL ON FUNCTION ops.serves(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.serves(name) TO warehouse_bi, warehouse_loader;

CREATE OR REPLACE VIEW mart.visible_account WITH (security_barrier) AS
SELECT a.vendor, a.account, a.site_id, a.time_zone, a.currency, a.label
FROM mart.account a
WHERE ops.serves(current_user) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_roles who
    WHERE who.rolname IN (current_user, session_user) AND NOT who.rolsuper
      AND EXISTS (
          SELECT FROM ops.bi_grant g
          JOIN pg_catalog.pg_roles named ON named.oid = g.role
          WHERE pg_has_role(who.oid, named.oid, 'MEMBER'))
      AND NOT EXISTS (
          SELECT FROM ops.bi_grant g
          JOIN pg_catalog.pg_roles named ON named.oid = g.role
          WHERE pg_has_role(who.oid, named.oid, 'MEMBER')
            AND g.vendor = a.vendor AND coalesce(g.account, a.account) = a.account));

RESET ROLE;

-- Everybody may call pg_control_system() unless an administrator took that away.
DO $$
BEGIN
    IF has_function_privilege('warehouse_owner', 'pg_control_system()', 'EXECUTE') THEN
        RETURN;
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT EXECUTE ON FUNCTION pg_control_system() TO warehouse_owner;
    ELSE
        RAISE NOTICE 'warehouse_owner may not call pg_control_system(): a dump restored on another server is known less surely.';
    END IF;
END
$$;

SET ROLE warehouse_owner;

-- Each migration is a transaction of its own. Where two rows were written by one, a restore wrote
-- them, and the mark may stand in a dump of an earlier schema.
DO $$
BEGIN
    IF EXISTS (SELECT FROM ops.suppression_applied a WHERE a.xmin::text::bigint = a.written_by)
       AND (SELECT count(DISTINCT m.xmin::text) = count(*) FROM ops.migration m) THEN
        PERFORM ops.suppression_was_applied();
    END IF;
END
$$;

RESET ROLE;
