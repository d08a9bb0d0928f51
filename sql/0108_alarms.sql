-- Alarms and their delivery: what went wrong is noted once, and told once on each channel.
--
-- A subject that is still open is not raised again. Noting and telling are apart, so that a channel
-- that is down for a while loses nothing and doubles nothing.

SET ROLE warehouse_owner;

CREATE TABLE ops.alarm (
    alarm_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('run_failed', 'check_failed', 'overdue')),
    severity text NOT NULL CHECK (severity IN ('error', 'warning')),
    source text NOT NULL,
    accounts text[] NOT NULL,
    days date[] NOT NULL,
    what text NOT NULL,
    way_out text[] NOT NULL,
    told_with text NOT NULL,
    run_id text,
    raised_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);
CREATE UNIQUE INDEX alarm_open ON ops.alarm (subject) WHERE resolved_at IS NULL;
CREATE INDEX alarm_by_time ON ops.alarm (raised_at);
COMMENT ON TABLE ops.alarm IS 'What was raised as an alarm: one row for each subject, from when it was raised to when it was over. Source: the sensors.';
COMMENT ON COLUMN ops.alarm.alarm_id IS 'Identity of the alarm; sent along, so that a receiver can tell a repetition.';
COMMENT ON COLUMN ops.alarm.subject IS 'What it is about: run/<run>, check/<asset>/<check>/<severity>/<day>, or overdue/<source>/<account>; open at most once.';
COMMENT ON COLUMN ops.alarm.kind IS 'run_failed, check_failed or overdue.';
COMMENT ON COLUMN ops.alarm.severity IS 'error or warning.';
COMMENT ON COLUMN ops.alarm.source IS 'Source concerned; warehouse: the warehouse''s own upkeep.';
COMMENT ON COLUMN ops.alarm.accounts IS 'Labels of the accounts concerned.';
COMMENT ON COLUMN ops.alarm.days IS 'Days concerned, calendar days of the accounts'' time zones.';
COMMENT ON COLUMN ops.alarm.what IS 'What happened, without personal data or secrets.';
COMMENT ON COLUMN ops.alarm.way_out IS 'The commands that mend it.';
COMMENT ON COLUMN ops.alarm.told_with IS 'Alarms that wait under the same text leave in one message.';
COMMENT ON COLUMN ops.alarm.run_id IS 'Dagster run it comes from; NULL: none.';
COMMENT ON COLUMN ops.alarm.raised_at IS 'When it was raised, UTC instant.';
COMMENT ON COLUMN ops.alarm.resolved_at IS 'When it was seen to be over, UTC instant; NULL: it is open.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.alarm TO warehouse_loader;

CREATE TABLE ops.alarm_delivery (
    alarm_id bigint NOT NULL REFERENCES ops.alarm ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('webhook', 'email')),
    attempts integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    failure text,
    delivered_at timestamptz,
    given_up_at timestamptz,
    PRIMARY KEY (alarm_id, channel)
);
CREATE INDEX alarm_delivery_waiting ON ops.alarm_delivery (channel, next_try_at)
    WHERE delivered_at IS NULL AND given_up_at IS NULL;
COMMENT ON TABLE ops.alarm_delivery IS 'Telling an alarm on one channel: waiting, told, or given up. Source: the sensors.';
COMMENT ON COLUMN ops.alarm_delivery.alarm_id IS 'The alarm.';
COMMENT ON COLUMN ops.alarm_delivery.channel IS 'webhook or email.';
COMMENT ON COLUMN ops.alarm_delivery.attempts IS 'Attempts that failed.';
COMMENT ON COLUMN ops.alarm_delivery.next_try_at IS 'Not tried again before, UTC instant.';
COMMENT ON COLUMN ops.alarm_delivery.failure IS 'Why the last attempt failed, without the channel''s address.';
COMMENT ON COLUMN ops.alarm_delivery.delivered_at IS 'When it was told, UTC instant.';
COMMENT ON COLUMN ops.alarm_delivery.given_up_at IS 'When it was given up, a week after it was raised, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.alarm_delivery TO warehouse_loader;

RESET ROLE;
