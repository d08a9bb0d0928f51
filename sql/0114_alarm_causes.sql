-- An alarm is one cause, not one day: what it concerns is kept by account and day, what it told is known,
-- and a person may acknowledge or mute it.

SET ROLE warehouse_owner;

ALTER TABLE ops.alarm
    ADD COLUMN causes text[] NOT NULL DEFAULT '{}',
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN muted_until timestamptz,
    ADD COLUMN muted_by text;
COMMENT ON TABLE ops.alarm IS 'What was raised as an alarm: one row for each cause, from when it was raised to when it was over. Source: the sensors.';
COMMENT ON COLUMN ops.alarm.subject IS 'The cause: run/<source>/<kind of failure>, check/<source>/<check>/<severity>, or overdue/<source>; open at most once.';
COMMENT ON COLUMN ops.alarm.accounts IS 'Labels of the accounts that it concerns now.';
COMMENT ON COLUMN ops.alarm.days IS 'Days that it concerns now, calendar days of the accounts'' time zones.';
COMMENT ON COLUMN ops.alarm.causes IS 'What was told of it: accounts, or reasons. A further one is told again.';
COMMENT ON COLUMN ops.alarm.changed_at IS 'When it was last raised again, UTC instant; NULL: never.';
COMMENT ON COLUMN ops.alarm.acknowledged_at IS 'When a person acknowledged it, UTC instant; NULL: nobody did, or it changed since.';
COMMENT ON COLUMN ops.alarm.acknowledged_by IS 'Who acknowledged it.';
COMMENT ON COLUMN ops.alarm.muted_until IS 'It is not told, and not red, before this UTC instant; NULL: it is not muted.';
COMMENT ON COLUMN ops.alarm.muted_by IS 'Who muted it.';

CREATE TABLE ops.alarm_day (
    alarm_id bigint NOT NULL REFERENCES ops.alarm ON DELETE CASCADE,
    account text NOT NULL,
    day date NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (alarm_id, account, day)
);
COMMENT ON TABLE ops.alarm_day IS 'Which day of which account an alarm concerns; gone once it is mended. Source: the sensors.';
COMMENT ON COLUMN ops.alarm_day.alarm_id IS 'The alarm.';
COMMENT ON COLUMN ops.alarm_day.account IS 'Label of the account.';
COMMENT ON COLUMN ops.alarm_day.day IS 'Calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.alarm_day.failed_at IS 'When it failed last, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.alarm_day TO warehouse_loader;

INSERT INTO ops.alarm_day (alarm_id, account, day, failed_at)
SELECT a.alarm_id, c.account, d.day, a.raised_at
FROM ops.alarm a, unnest(a.accounts) AS c (account), unnest(a.days) AS d (day)
WHERE a.resolved_at IS NULL AND a.kind = 'run_failed'
ON CONFLICT DO NOTHING;

RESET ROLE;
