-- If no other source of the vendor loads the account: everything; else the channels of this source.
-- A role whose only grant is the account keeps it: without any grant it would see every account.
CREATE OR REPLACE FUNCTION mart.remove_account(
    of_vendor text, of_source text, of_account text, only_count boolean
) RETURNS TABLE (place text, number bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one record;
    of_site bigint := (SELECT a.site_id FROM mart.account a
        WHERE a.vendor = of_vendor AND a.account = of_account);
    is_left boolean := NOT EXISTS (
        SELECT FROM mart.source_channel c JOIN ops.account_start s ON s.source = c.source
        WHERE c.vendor = of_vendor AND c.source <> of_source AND s.account = of_account);
BEGIN
    IF of_site IS NOT NULL AND NOT only_count THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('months of site ' || of_site, 0));
        PERFORM pg_advisory_xact_lock(hashtextextended('mart of site ' || of_site, 0));
    END IF;
    FOR one IN
        -- mart.account comes last: if this is run again, the tables by site are found through it.
        SELECT c.oid::regclass AS name, c.relname = 'account' AS is_last,
            CASE WHEN bool_or(a.attname = 'site_id') AND c.relname <> 'account'
                 THEN format('site_id = %L', of_site)
                 ELSE format('vendor = %L AND account = %L', of_vendor, of_account)
                     || CASE WHEN is_left THEN '' ELSE format(' AND channel IN (SELECT c.channel'
                         ' FROM mart.source_channel c WHERE c.source = %L)', of_source) END
            END AS condition
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
        WHERE c.relnamespace = 'mart'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        GROUP BY c.oid, c.relname
        HAVING (is_left AND bool_or(a.attname = 'site_id') AND of_site IS NOT NULL)
            OR (bool_or(a.attname = 'vendor') AND bool_or(a.attname = 'account')
                AND (is_left OR bool_or(a.attname = 'channel')))
        ORDER BY 2, 1
    LOOP
        place := one.name;
        IF only_count THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE %s', one.name, one.condition) INTO number;
        ELSE
            EXECUTE format('DELETE FROM %s WHERE %s', one.name, one.condition);
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF is_left THEN
        place := 'ops.bi_grant';
        SELECT count(*) INTO number FROM ops.bi_grant g
        WHERE g.vendor = of_vendor AND g.account = of_account AND EXISTS (
            SELECT FROM ops.bi_grant o WHERE o.role = g.role AND o IS DISTINCT FROM g);
        IF NOT only_count THEN
            DELETE FROM ops.bi_grant g
            WHERE g.vendor = of_vendor AND g.account = of_account AND EXISTS (
                SELECT FROM ops.bi_grant o WHERE o.role = g.role AND o IS DISTINCT FROM g);
        END IF;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION mart.remove_account IS 'Remove an account from everything that bi shows of this source, and from the grants; only_count: remove nothing, and return how many rows it would be.';
GRANT EXECUTE ON FUNCTION mart.remove_account TO warehouse_loader;
