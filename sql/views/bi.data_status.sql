-- Days that are loaded beside days that are not: who asks for gaps alone reads none of the first.
CREATE OR REPLACE VIEW bi.data_status WITH (security_barrier) AS
SELECT s.source, a.vendor, s.account, a.label AS account_label, s.day,
    CASE WHEN s.settled THEN 'settled' ELSE 'unsettled' END AS state,
    false AS is_gap, s.settled AS is_settled,
    s.held IS NOT NULL AS is_held, s.rows,
    (s.observed_at AT TIME ZONE a.time_zone)::date AS asked_on,
    a.vendor || ':' || s.account AS account_key
FROM ops.day_state s
JOIN (SELECT DISTINCT c.source, c.vendor FROM mart.source_channel c) v ON v.source = s.source
JOIN mart.visible_account a ON a.vendor = v.vendor AND a.account = s.account
UNION ALL
SELECT m.source, m.vendor, m.account, m.label, m.day, 'missing', true, false, false, NULL, NULL,
    m.vendor || ':' || m.account
FROM mart.missing_day m;

COMMENT ON VIEW bi.data_status IS 'Every day that should be loaded, by source and account: from the first loaded day to the newest that is due: yesterday, from 06:00 on, in the account''s time zone. Of tellody_purchases, whose every answer tells all days, days without a purchase that an answer has told have no row. Tellody has two sources: a join to a fact by account and day multiplies its rows unless it names one source. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.data_status.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.data_status.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.data_status.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.data_status.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.data_status.day IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN bi.data_status.state IS 'settled (no longer changes), unsettled (loaded, read again until settled), or missing.';
COMMENT ON COLUMN bi.data_status.is_gap IS 'Whether the day is missing.';
COMMENT ON COLUMN bi.data_status.is_settled IS 'Whether the day no longer changes.';
COMMENT ON COLUMN bi.data_status.is_held IS 'Whether a newer answer was held back, because it would lose too many rows or can no longer be read; the old figures stand.';
COMMENT ON COLUMN bi.data_status.rows IS 'Rows that stand for the day; NULL: not loaded.';
COMMENT ON COLUMN bi.data_status.asked_on IS 'Day on which the vendor was asked for what stands, in the account''s time zone.';
COMMENT ON COLUMN bi.data_status.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.data_status', 'warehouse_bi', 'account');
