-- The next instant at which a request may be sent: at most `burst` in any `period`. A slot further
-- ahead than `horizon` is returned but not granted (granted = false): a 429 that comes before it can
-- still delay it, and a process that dies uses up no slot.
CREATE OR REPLACE FUNCTION ops.next_slot(
    of_limiter text, burst integer, period interval, horizon interval,
    OUT due timestamptz, OUT clock timestamptz, OUT granted boolean
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken timestamptz[];
    hold timestamptz;
BEGIN
    LOOP
        SELECT slots, held_until INTO taken, hold
        FROM ops.request_slot WHERE limiter = of_limiter FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO ops.request_slot (limiter) VALUES (of_limiter) ON CONFLICT DO NOTHING;
    END LOOP;
    clock := clock_timestamp();
    -- After the clock was set back, slots stand in a future that is far away.
    IF taken[cardinality(taken)] > clock + horizon + interval '1 second' THEN
        taken := '{}';
    END IF;
    IF hold > clock + interval '15 minutes' THEN
        hold := NULL;
    END IF;
    due := greatest(clock, hold, taken[cardinality(taken)]);
    IF cardinality(taken) >= burst THEN
        due := greatest(due, taken[cardinality(taken) - burst + 1] + period);
    END IF;
    granted := due <= clock + horizon;
    IF granted THEN
        taken := taken || due;
        UPDATE ops.request_slot
        SET slots = taken[greatest(1, cardinality(taken) - 2 * burst + 1):]
        WHERE limiter = of_limiter;
    END IF;
END
$$;
COMMENT ON FUNCTION ops.next_slot IS 'Grants the next instant at which a request may be sent; if it is further ahead than the horizon, returns it without granting it.';
GRANT EXECUTE ON FUNCTION ops.next_slot TO warehouse_loader;
