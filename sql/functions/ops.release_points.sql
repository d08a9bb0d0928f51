-- Also deletes the reservations of processes that ended: they reserve nothing any more.
CREATE OR REPLACE FUNCTION ops.release_points(reservation uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM ops.point_reservation
    WHERE reservation_id = reservation OR expires_at < clock_timestamp()
$$;
COMMENT ON FUNCTION ops.release_points IS 'Ends a reservation; points spent under it stay spent.';
GRANT EXECUTE ON FUNCTION ops.release_points TO warehouse_loader;
