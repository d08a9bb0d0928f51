-- Counts a call as spent; its points come out of its reservation while that suffices.
CREATE OR REPLACE FUNCTION ops.spend_points(
    reservation uuid, of_source text, of_account text, on_day date, cost bigint, budget bigint,
    of_holder integer, lifetime interval,
    OUT granted boolean, OUT spent bigint, OUT held bigint
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine bigint;
    mine_on date;
    free bigint;
BEGIN
    spent := ops.lock_ledger(of_source, of_account, on_day);
    held := ops.points_held(of_source, of_account, on_day, reservation);
    SELECT points, spent_on INTO mine, mine_on
    FROM ops.point_reservation WHERE reservation_id = reservation FOR UPDATE;
    mine := coalesce(mine, 0);
    free := budget - spent - held;
    granted := free IS NULL OR free >= cost OR (mine >= cost AND mine_on = on_day);
    IF NOT granted THEN
        RETURN;
    END IF;
    UPDATE ops.point_ledger SET points = points + cost, changed_at = clock_timestamp()
    WHERE source = of_source AND account = of_account AND spent_on = on_day;
    spent := spent + cost;
    -- After midnight the rest of the reservation moves to the new day, as far as its budget allows.
    UPDATE ops.point_reservation
    SET points = CASE
            WHEN mine_on = on_day OR free IS NULL THEN greatest(mine - cost, 0)
            ELSE greatest(least(mine - cost, free - cost), 0) END,
        spent_on = on_day, holder = of_holder, expires_at = clock_timestamp() + lifetime
    WHERE reservation_id = reservation;
END
$$;
COMMENT ON FUNCTION ops.spend_points IS 'Counts a call that is about to be sent, or refuses it if the budget does not suffice.';
GRANT EXECUTE ON FUNCTION ops.spend_points TO warehouse_loader;
