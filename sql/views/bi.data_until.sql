CREATE OR REPLACE VIEW bi.data_until WITH (security_barrier) AS
SELECT e.source, e.vendor, e.account, e.label AS account_label, min(e.day) AS first_day,
    max(e.told_until) AS data_until,
    max(s.day) FILTER (WHERE s.settled) AS settled_until,
    coalesce(min(e.day) FILTER (WHERE s.day IS NULL) - 1, max(e.told_until)) AS complete_until,
    count(*) FILTER (WHERE s.day IS NULL) AS gap_days,
    count(*) FILTER (WHERE NOT s.settled) AS unsettled_days,
    count(*) FILTER (WHERE s.held IS NOT NULL) AS held_days,
    greatest(mart.due_until(e.time_zone, now()) - max(e.told_until), 0) AS days_behind,
    e.vendor || ':' || e.account AS account_key
FROM mart.expected_day e
LEFT JOIN ops.day_state s ON s.source = e.source AND s.account = e.account AND s.day = e.day
GROUP BY e.source, e.vendor, e.account, e.label, e.time_zone;

COMMENT ON VIEW bi.data_until IS 'How far the data of each source and account reaches: one row each. Tellody has two sources: a join by account_key alone multiplies its rows. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.data_until.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.data_until.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.data_until.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.data_until.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.data_until.first_day IS 'First loaded day.';
COMMENT ON COLUMN bi.data_until.data_until IS 'Last loaded day; of tellody_purchases, whose every answer tells all days, the day before the last answer.';
COMMENT ON COLUMN bi.data_until.settled_until IS 'Last day that no longer changes.';
COMMENT ON COLUMN bi.data_until.complete_until IS 'Last day before the first gap; data_until where there is none.';
COMMENT ON COLUMN bi.data_until.gap_days IS 'Days missing since the first loaded day. A day is missing from 06:00 of the day after on, when the nights could have loaded it.';
COMMENT ON COLUMN bi.data_until.unsettled_days IS 'Days loaded whose figures still change.';
COMMENT ON COLUMN bi.data_until.held_days IS 'Days for which a newer answer was held back.';
COMMENT ON COLUMN bi.data_until.days_behind IS 'Days from data_until to the newest day that is due: yesterday, from 06:00 on, in the account''s time zone.';
COMMENT ON COLUMN bi.data_until.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.data_until', 'warehouse_bi', 'account');
