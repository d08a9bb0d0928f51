-- A request that missed its slot asks to be sent now. It may be, unless later slots that were granted
-- already would then be too near; the old slot is dropped in either case. For a request that was already
-- sent, late (sent = true), only the actual instant is recorded, so that later slots take account of it.
CREATE OR REPLACE FUNCTION ops.move_slot(
    of_limiter text, burst integer, period interval, given timestamptz, sent boolean,
    OUT due timestamptz, OUT clock timestamptz, OUT granted boolean
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken timestamptz[];
    moved timestamptz[];
    hold timestamptz;
    place integer;
BEGIN
    SELECT slots, held_until INTO taken, hold
    FROM ops.request_slot WHERE limiter = of_limiter FOR UPDATE;
    clock := clock_timestamp();
    due := clock;
    place := array_position(taken, given);
    IF place IS NOT NULL THEN
        taken := taken[:place - 1] || taken[place + 1:];
    END IF;
    SELECT array_agg(t ORDER BY t) INTO moved FROM unnest(taken || clock) AS t;
    granted := sent OR (
        place IS NOT NULL
        AND (hold IS NULL OR hold <= clock OR hold > clock + interval '15 minutes')
        AND NOT EXISTS (
            SELECT FROM generate_series(1, cardinality(moved) - burst) AS k
            WHERE moved[k + burst] - moved[k] < period
        )
    );
    UPDATE ops.request_slot SET slots = CASE WHEN granted THEN moved ELSE taken END
    WHERE limiter = of_limiter;
END
$$;
COMMENT ON FUNCTION ops.move_slot IS 'Moves a missed slot to this moment if the limit allows it; else drops it.';
GRANT EXECUTE ON FUNCTION ops.move_slot TO warehouse_loader;
