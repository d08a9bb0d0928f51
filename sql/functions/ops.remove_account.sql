-- Every table of ops with a source and an account, found in the catalog, so that a new table is included.
CREATE OR REPLACE FUNCTION ops.remove_account(of_source text, of_account text, only_count boolean)
RETURNS TABLE (place text, number bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one regclass;
    condition text := format('source = %L AND account = %L', of_source, of_account);
BEGIN
    FOR one IN
        SELECT c.oid::regclass
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
        WHERE c.relnamespace = 'ops'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attname IN ('source', 'account')
        GROUP BY c.oid HAVING count(*) = 2
        ORDER BY c.oid
    LOOP
        place := one;
        IF only_count THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE %s', one, condition) INTO number;
        ELSE
            EXECUTE format('DELETE FROM %s WHERE %s', one, condition);
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        RETURN NEXT;
    END LOOP;
    place := 'ops.alarm';
    SELECT count(*) INTO number FROM ops.alarm x WHERE x.source = of_source AND of_account = ANY (x.accounts);
    IF NOT only_count THEN
        DELETE FROM ops.alarm x WHERE x.source = of_source AND x.accounts <@ ARRAY[of_account]
            AND of_account = ANY (x.accounts);
        UPDATE ops.alarm x SET accounts = array_remove(x.accounts, of_account),
            causes = array_remove(x.causes, of_account),
            way_out = ARRAY(SELECT w FROM unnest(x.way_out) WITH ORDINALITY AS u (w, n)
                WHERE w || ' ' NOT LIKE '%--account ' || of_account || ' %' ORDER BY n)
        WHERE x.source = of_source AND of_account = ANY (x.accounts);
        DELETE FROM ops.alarm_day d USING ops.alarm x
        WHERE x.alarm_id = d.alarm_id AND x.source = of_source AND d.account = of_account;
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION ops.remove_account IS 'Remove an account from the ledger: from every table of ops that has its source and account, its stored responses with its extractions, and its alarms; only_count: remove nothing, and return how many rows it would be.';
GRANT EXECUTE ON FUNCTION ops.remove_account TO warehouse_loader;
