CREATE OR REPLACE VIEW bi.data_arrival WITH (security_barrier) AS
SELECT s.source, a.vendor, s.account, a.label AS account_label, s.day,
    coalesce(r.first_loaded_at, s.loaded_at) AS first_loaded_at, s.loaded_at, coalesce(r.loads, 1)::integer AS loads,
    (extract(epoch FROM coalesce(r.first_loaded_at, s.loaded_at)
        - ((s.day + 1)::timestamp AT TIME ZONE a.time_zone)) / 3600)::numeric(12, 2) AS hours_to_load,
    ((s.day + 1)::timestamp AT TIME ZONE a.time_zone) < b.first_observed_at - interval '1 day' AS is_history,
    s.settled, a.vendor || ':' || s.account AS account_key
FROM ops.day_state s
JOIN (SELECT DISTINCT c.source, c.vendor FROM mart.source_channel c) v ON v.source = s.source
JOIN mart.visible_account a ON a.vendor = v.vendor AND a.account = s.account
LEFT JOIN ops.account_start b ON b.source = s.source AND b.account = s.account
LEFT JOIN (
    SELECT l.source, l.account, l.day, min(l.loaded_at) AS first_loaded_at, count(*) AS loads
    FROM ops.load_receipt l GROUP BY 1, 2, 3
) r ON r.source = s.source AND r.account = s.account AND r.day = s.day;

COMMENT ON VIEW bi.data_arrival IS 'When each loaded day arrived, by source and account. Service level = avg((hours_to_load <= 24)::integer) WHERE NOT is_history; days that never arrived are in bi.data_status. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.data_arrival.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.data_arrival.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.data_arrival.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.data_arrival.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.data_arrival.day IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN bi.data_arrival.first_loaded_at IS 'When the day was loaded first (instant), by the receipts that are still kept (RECEIPT_RETENTION_DAYS).';
COMMENT ON COLUMN bi.data_arrival.loaded_at IS 'When what stands was loaded (instant).';
COMMENT ON COLUMN bi.data_arrival.loads IS 'How often the day was loaded, by the receipts that are kept.';
COMMENT ON COLUMN bi.data_arrival.hours_to_load IS 'Hours from the day''s end, at midnight of the account''s time zone, to its first load.';
COMMENT ON COLUMN bi.data_arrival.is_history IS 'Whether the day was over more than a day before the account was loaded for the first time: it could not arrive in time.';
COMMENT ON COLUMN bi.data_arrival.settled IS 'Whether the day no longer changes.';
COMMENT ON COLUMN bi.data_arrival.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.data_arrival', 'warehouse_bi', 'account');
