-- The vendor answered with an error, so the call cost nothing. Its points return to the reservation.
CREATE OR REPLACE FUNCTION ops.refund_points(
    reservation uuid, of_source text, of_account text, on_day date, cost bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ops.lock_ledger(of_source, of_account, on_day);
    UPDATE ops.point_ledger
    SET points = greatest(points - cost, 0), changed_at = clock_timestamp()
    WHERE source = of_source AND account = of_account AND spent_on = on_day;
    UPDATE ops.point_reservation SET points = points + cost
    WHERE reservation_id = reservation AND spent_on = on_day;
END
$$;
COMMENT ON FUNCTION ops.refund_points IS 'Takes back the points of a call that the vendor certainly did not charge.';
GRANT EXECUTE ON FUNCTION ops.refund_points TO warehouse_loader;
