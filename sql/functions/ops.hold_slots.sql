CREATE OR REPLACE FUNCTION ops.hold_slots(of_limiter text, duration interval) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO ops.request_slot AS s (limiter, held_until)
    VALUES (of_limiter, clock_timestamp() + duration)
    ON CONFLICT (limiter) DO UPDATE SET held_until = greatest(s.held_until, excluded.held_until)
$$;
COMMENT ON FUNCTION ops.hold_slots IS 'Grants no slot for a while: the vendor answered 429.';
GRANT EXECUTE ON FUNCTION ops.hold_slots TO warehouse_loader;
