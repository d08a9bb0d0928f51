CREATE OR REPLACE FUNCTION ops.close_restored(seen bigint DEFAULT 0) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT ops.is_restored() AND seen <= (SELECT p.erasures FROM ops.privacy p) THEN
        RETURN false;
    END IF;
    LOCK TABLE ops.suppression_applied IN SHARE ROW EXCLUSIVE MODE;
    -- Stored, so that hosts that have not seen that number know it from now on.
    DELETE FROM ops.suppression_applied;
    IF has_schema_privilege('warehouse_bi', 'bi', 'USAGE')
       OR has_schema_privilege('warehouse_bi_detail', 'bi_detail', 'USAGE')
       OR has_schema_privilege('warehouse_bi_pii', 'bi_pii', 'USAGE') THEN
        REVOKE USAGE ON SCHEMA bi FROM warehouse_bi;
        REVOKE USAGE ON SCHEMA bi_detail FROM warehouse_bi_detail;
        REVOKE USAGE ON SCHEMA bi_pii FROM warehouse_bi_pii;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION ops.close_restored IS 'Closes schemas bi, bi_detail and bi_pii to readers where ops.is_restored(), or where an erasure with a higher number than this database knows was seen; returns whether it closed them.';
GRANT EXECUTE ON FUNCTION ops.close_restored TO warehouse_loader;
