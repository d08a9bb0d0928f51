CREATE OR REPLACE FUNCTION ops.suppression_was_applied(seen bigint DEFAULT 0) RETURNS void
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
    IF to_regnamespace('bi_detail') IS NOT NULL THEN  -- the baseline calls this before that schema is made
        GRANT USAGE ON SCHEMA bi_detail TO warehouse_bi_detail;
    END IF;
    GRANT USAGE ON SCHEMA bi_pii TO warehouse_bi_pii;
END
$$;
COMMENT ON FUNCTION ops.suppression_was_applied IS 'Records that the suppression list, up to the erasure of this number, was applied to all rows of this database, and opens the schemas to readers.';
GRANT EXECUTE ON FUNCTION ops.suppression_was_applied TO warehouse_loader;
