-- What all processes share of a vendor's limits: requests a second (ops.request_slot) and API
-- points a day (ops.point_ledger, ops.point_reservation). Each function is one atomic step: it
-- locks one row first (the limiter's, or the ledger's of that account and day), then reads the
-- clock or the sums, so that two callers never decide on the same state.

SET ROLE warehouse_owner;

-- Unlogged: a slot is worth nothing two seconds later, and must not wait for a disk.
-- The row is rewritten several times a second: room in its page keeps those updates HOT.
CREATE UNLOGGED TABLE ops.request_slot (
    limiter text NOT NULL PRIMARY KEY,
    slots timestamptz[] NOT NULL DEFAULT '{}',
    held_until timestamptz
) WITH (fillfactor = 20);
COMMENT ON TABLE ops.request_slot IS 'When requests to a vendor''s host may leave: one row for each host that limits them. Emptied by a crash of the server. Source: the pipeline.';
COMMENT ON COLUMN ops.request_slot.limiter IS 'Host name that counts the requests; it limits them by address, whatever the account.';
COMMENT ON COLUMN ops.request_slot.slots IS 'The latest slots given out, ascending, twice as many as the limit allows at once; instants by the server''s clock, the last ones may lie a moment ahead.';
COMMENT ON COLUMN ops.request_slot.held_until IS 'No slot before this instant: a process was answered 429. NULL: none ever was.';

CREATE TABLE ops.point_ledger (
    source text NOT NULL,
    account text NOT NULL,
    spent_on date NOT NULL,
    points bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, account, spent_on)
) WITH (fillfactor = 50);
COMMENT ON TABLE ops.point_ledger IS 'API points spent: one row for each source, account and day. A call counts from just before it is sent, and no longer once the vendor answered it with an error. Source: the pipeline.';
COMMENT ON COLUMN ops.point_ledger.source IS 'Source whose vendor charges points.';
COMMENT ON COLUMN ops.point_ledger.account IS 'Label of the vendor account whose budget it is.';
COMMENT ON COLUMN ops.point_ledger.spent_on IS 'Day of spending, a calendar day of the account''s time zone: the budget begins anew at its midnight.';
COMMENT ON COLUMN ops.point_ledger.points IS 'Points spent that day, those of calls whose outcome is unknown included.';
COMMENT ON COLUMN ops.point_ledger.changed_at IS 'When it last changed, UTC instant.';

CREATE TABLE ops.point_reservation (
    reservation_id uuid NOT NULL PRIMARY KEY,
    source text NOT NULL,
    account text NOT NULL,
    spent_on date NOT NULL,
    points bigint NOT NULL CHECK (points >= 0),
    holder integer NOT NULL CHECK (holder >= 0),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX point_reservation_by_account ON ops.point_reservation (source, account);
COMMENT ON TABLE ops.point_reservation IS 'API points set aside for windows that are being extracted, one row each. Void once its holder is gone. Source: the pipeline.';
COMMENT ON COLUMN ops.point_reservation.reservation_id IS 'Identity, made by the process that reserves.';
COMMENT ON COLUMN ops.point_reservation.source IS 'Source whose vendor charges points.';
COMMENT ON COLUMN ops.point_reservation.account IS 'Label of the vendor account whose budget it is.';
COMMENT ON COLUMN ops.point_reservation.spent_on IS 'Day on whose budget it stands, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.point_reservation.points IS 'Points of the calls yet to be sent.';
COMMENT ON COLUMN ops.point_reservation.holder IS 'Key of the advisory lock (class 1347373390) that the reserving process holds while it is connected.';
COMMENT ON COLUMN ops.point_reservation.made_at IS 'When it was made, UTC instant.';
COMMENT ON COLUMN ops.point_reservation.expires_at IS 'When it is void even though its holder is still connected, UTC instant; every call puts it off.';

-- The next instant at which a request may leave: at most `burst` in any `period`. A slot further
-- ahead than `horizon` is named but not given (granted = false): a 429 drawn meanwhile can still
-- hold it back, and a process that dies takes none along.
CREATE FUNCTION ops.next_slot(
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
COMMENT ON FUNCTION ops.next_slot(text, integer, interval, interval) IS 'Gives the next instant at which a request may leave, or names it where it is further off than the horizon.';

-- A request that is late for its slot asks to leave now instead. It may, unless slots after it were
-- given already that would then stand too near; the old slot is given up in any case. A request
-- that was late on its way out (sent) only has the truth recorded, for the slots to come.
CREATE FUNCTION ops.move_slot(
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
COMMENT ON FUNCTION ops.move_slot(text, integer, interval, timestamptz, boolean) IS 'Moves a slot that was missed to this moment where that keeps the limit; gives it up where not.';

CREATE FUNCTION ops.hold_slots(of_limiter text, duration interval) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO ops.request_slot AS s (limiter, held_until)
    VALUES (of_limiter, clock_timestamp() + duration)
    ON CONFLICT (limiter) DO UPDATE SET held_until = greatest(s.held_until, excluded.held_until)
$$;
COMMENT ON FUNCTION ops.hold_slots(text, interval) IS 'Gives no slot for a while: the vendor answered 429.';

-- Points that living processes have set aside, but for one reservation.
CREATE FUNCTION ops.points_held(of_source text, of_account text, on_day date, but_not uuid)
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
COMMENT ON FUNCTION ops.points_held(text, text, date, uuid) IS 'Points set aside by processes that are connected and whose reservation has not expired.';

CREATE FUNCTION ops.lock_ledger(of_source text, of_account text, on_day date) RETURNS bigint
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
COMMENT ON FUNCTION ops.lock_ledger(text, text, date) IS 'Points spent that day; no one else decides on them until the transaction ends.';

-- Sets aside `wanted` points for a reservation, in place of what it had; NULL budget: not bounded.
CREATE FUNCTION ops.reserve_points(
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
COMMENT ON FUNCTION ops.reserve_points(uuid, text, text, date, bigint, bigint, integer, interval) IS 'Sets points aside for a window, or says what was spent and what others hold where they do not fit.';

-- Counts a call as spent, out of its reservation where that still holds enough for it.
CREATE FUNCTION ops.spend_points(
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
    -- After midnight the rest of the reservation moves to the new day, as far as it has room.
    UPDATE ops.point_reservation
    SET points = CASE
            WHEN mine_on = on_day OR free IS NULL THEN greatest(mine - cost, 0)
            ELSE greatest(least(mine - cost, free - cost), 0) END,
        spent_on = on_day, holder = of_holder, expires_at = clock_timestamp() + lifetime
    WHERE reservation_id = reservation;
END
$$;
COMMENT ON FUNCTION ops.spend_points(uuid, text, text, date, bigint, bigint, integer, interval) IS 'Counts a call that is about to be sent, or refuses it where the budget has no room.';

-- The vendor answered with an error: the call was free. Its points go back to its reservation.
CREATE FUNCTION ops.refund_points(
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
COMMENT ON FUNCTION ops.refund_points(uuid, text, text, date, bigint) IS 'Takes back the points of a call that the vendor certainly did not charge.';

-- Also sweeps away what dead processes left: a reservation without a holder holds nothing anyway.
CREATE FUNCTION ops.release_points(reservation uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM ops.point_reservation
    WHERE reservation_id = reservation OR expires_at < clock_timestamp()
$$;
COMMENT ON FUNCTION ops.release_points(uuid) IS 'Ends a reservation; what it spent stays spent.';

GRANT SELECT, INSERT, UPDATE, DELETE
    ON ops.request_slot, ops.point_ledger, ops.point_reservation TO warehouse_loader;

DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'ops' AND p.proname IN (
            'next_slot', 'move_slot', 'hold_slots', 'points_held', 'lock_ledger', 'reserve_points',
            'spend_points', 'refund_points', 'release_points')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO warehouse_loader', one);
    END LOOP;
END
$$;

RESET ROLE;
