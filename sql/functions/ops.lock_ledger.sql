CREATE OR REPLACE FUNCTION ops.lock_ledger(of_source text, of_account text, on_day date) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    spent bigint;
BEGIN
    LOOP
        SELECT points INTO spent FROM ops.point_ledger
        WHERE source = of_source AND account = of_account AND spent_on = on_day FOR UPDATE;
        IF FOUND THEN
            RETURN spent;
        END IF;
        INSERT INTO ops.point_ledger (source, account, spent_on)
        VALUES (of_source, of_account, on_day) ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ops.lock_ledger IS 'The points spent that day, locked: no other session reserves or spends points of the day until the transaction ends.';
GRANT EXECUTE ON FUNCTION ops.lock_ledger TO warehouse_loader;
