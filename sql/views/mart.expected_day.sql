-- The due days of an account since its first loaded day, and days that were loaded before they are due. If every
-- answer of a source tells all days, a day without rows is known up to the day before the last answer
-- in use, whichever days that load wrote receipts for.
CREATE OR REPLACE VIEW mart.expected_day WITH (security_barrier) AS
SELECT s.source, s.vendor, a.account, a.label, a.time_zone, d.day, told.until AS told_until
FROM (SELECT DISTINCT source, vendor, tells_all_days FROM mart.source_channel) s
JOIN mart.visible_account a ON a.vendor = s.vendor
CROSS JOIN LATERAL (
    SELECT min(x.day) AS first, max(x.day) AS last FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account) was_loaded
CROSS JOIN LATERAL (
    SELECT greatest(was_loaded.last, max(e.last_day) - 1) AS until FROM ops.extraction e
    WHERE s.tells_all_days AND e.extraction_id IN (
        SELECT x.extraction_id FROM ops.day_state x
        WHERE x.source = s.source AND x.account = a.account)) told
JOIN mart.date_day d ON d.day >= was_loaded.first
    AND d.day <= greatest(was_loaded.last, mart.due_until(a.time_zone, now()))
WHERE NOT s.tells_all_days OR d.day > told.until OR EXISTS (
    SELECT FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account AND x.day = d.day);

COMMENT ON VIEW mart.expected_day IS 'The days that should be loaded: from an account''s first loaded day to the newest that is due.';
COMMENT ON COLUMN mart.expected_day.source IS 'Source.';
COMMENT ON COLUMN mart.expected_day.vendor IS 'Its vendor.';
COMMENT ON COLUMN mart.expected_day.account IS 'Account.';
COMMENT ON COLUMN mart.expected_day.label IS 'Name given by the user, or else the account.';
COMMENT ON COLUMN mart.expected_day.time_zone IS 'Time zone of its days.';
COMMENT ON COLUMN mart.expected_day.day IS 'Day.';
COMMENT ON COLUMN mart.expected_day.told_until IS 'Last day of which all is known.';
