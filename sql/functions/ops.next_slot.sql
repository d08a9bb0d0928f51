-- The next instant at which a request may leave: at most `burst` in any `period`. A slot further
-- ahead than `horizon` is named but not given (granted = false): a 429 drawn meanwhile can still
-- hold it back, and a process that dies takes none along.
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
    -- A clock set back leaves slots in a future that will not come for long.
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
COMMENT ON FUNCTION ops.next_slot IS 'Gives the next instant at which a request may leave, or names it where it is further off than the horizon.';
GRANT EXECUTE ON FUNCTION ops.next_slot TO warehouse_loader;
