-- What all processes share of a vendor's limits: requests a second (ops.request_slot) and API
-- points a day (ops.point_ledger, ops.point_reservation). Each of their functions is one atomic step: it
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
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.request_slot TO warehouse_loader;

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
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.point_ledger TO warehouse_loader;

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
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.point_reservation TO warehouse_loader;

RESET ROLE;
