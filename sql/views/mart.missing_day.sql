-- The days of mart.expected_day that are not loaded. Of an account that has as many loaded days as lie between the
-- first and the last none is looked for: so it is of nearly all accounts.
CREATE OR REPLACE VIEW mart.missing_day WITH (security_barrier) AS
SELECT s.source, s.vendor, a.account, a.label, a.time_zone, d.day
FROM (SELECT DISTINCT source, vendor, tells_all_days FROM mart.source_channel) s
JOIN mart.visible_account a ON a.vendor = s.vendor
CROSS JOIN LATERAL (
    SELECT min(x.day) AS first, max(x.day) AS last, count(*) AS days FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account) was_loaded
CROSS JOIN LATERAL (
    SELECT greatest(was_loaded.last, mart.due_until(a.time_zone, now())) AS until,
        CASE WHEN s.tells_all_days THEN greatest(was_loaded.last, (
            SELECT max(e.last_day) - 1 FROM ops.extraction e WHERE e.extraction_id IN (
                SELECT x.extraction_id FROM ops.day_state x
                WHERE x.source = s.source AND x.account = a.account))) + 1
        ELSE was_loaded.first END AS since) expected
JOIN mart.date_day d ON d.day >= expected.since AND d.day <= expected.until
WHERE (s.tells_all_days OR was_loaded.days < expected.until - expected.since + 1)
  AND NOT EXISTS (
    SELECT FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account AND x.day = d.day);

COMMENT ON VIEW mart.missing_day IS 'The days that should be loaded and are not: those of mart.expected_day without a state.';
COMMENT ON COLUMN mart.missing_day.source IS 'Source.';
COMMENT ON COLUMN mart.missing_day.vendor IS 'Its vendor.';
COMMENT ON COLUMN mart.missing_day.account IS 'Account.';
COMMENT ON COLUMN mart.missing_day.label IS 'Name given by the user, or else the account.';
COMMENT ON COLUMN mart.missing_day.time_zone IS 'Time zone of its days.';
COMMENT ON COLUMN mart.missing_day.day IS 'Day.';
