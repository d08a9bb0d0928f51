-- Reserves `wanted` points, replacing the reservation's earlier ones; NULL budget: no limit.
CREATE OR REPLACE FUNCTION ops.reserve_points(
    reservation uuid, of_source text, of_account text, on_day date, wanted bigint, budget bigint,
    of_holder integer, lifetime interval,
    OUT granted boolean, OUT spent bigint, OUT held bigint
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    spent := ops.lock_ledger(of_source, of_account, on_day);
    held := ops.points_held(of_source, of_account, on_day, reservation);
    granted := budget IS NULL OR wanted = 0 OR spent + held + wanted <= budget;
    IF granted THEN
        INSERT INTO ops.point_reservation AS r
            (reservation_id, source, account, spent_on, points, holder, expires_at)
        VALUES (reservation, of_source, of_account, on_day, wanted, of_holder,
                clock_timestamp() + lifetime)
        ON CONFLICT (reservation_id) DO UPDATE
        SET spent_on = excluded.spent_on, points = excluded.points, holder = excluded.holder,
            expires_at = excluded.expires_at;
    END IF;
END
$$;
COMMENT ON FUNCTION ops.reserve_points IS 'Reserves points for a window; if the budget does not suffice, returns the points spent and those reserved by others.';
GRANT EXECUTE ON FUNCTION ops.reserve_points TO warehouse_loader;
