-- Points that connected processes have reserved, without those of one reservation.
CREATE OR REPLACE FUNCTION ops.points_held(of_source text, of_account text, on_day date, but_not uuid)
RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(r.points), 0)::bigint
    FROM ops.point_reservation r
    WHERE r.source = of_source AND r.account = of_account AND r.spent_on = on_day
      AND r.reservation_id IS DISTINCT FROM but_not
      AND r.expires_at > clock_timestamp()
      AND r.holder::bigint IN (
          SELECT l.objid::bigint
          FROM pg_locks l JOIN pg_database d ON d.oid = l.database
          WHERE l.locktype = 'advisory' AND l.classid = 1347373390 AND l.objsubid = 2
            AND l.granted AND d.datname = current_database()
      )
$$;
COMMENT ON FUNCTION ops.points_held IS 'Points reserved by processes that are connected and whose reservation has not expired.';
GRANT EXECUTE ON FUNCTION ops.points_held TO warehouse_loader;
