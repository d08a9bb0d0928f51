CREATE OR REPLACE VIEW bi.restatement WITH (security_barrier) AS
SELECT r.source, a.vendor, r.account, a.label AS account_label, r.day, r.loaded_at AS restated_at,
    (r.loaded_at AT TIME ZONE a.time_zone)::date AS restated_on, r.was_settled_at,
    r.rows_inserted, r.rows_updated, r.rows_deleted, r.rows_inserted - r.rows_deleted AS rows_change,
    r.rows_deleted + r.rows_updated + r.rows_unchanged AS rows_before,
    r.rows_inserted + r.rows_updated + r.rows_unchanged AS rows_after, r.is_replay,
    a.vendor || ':' || r.account AS account_key
FROM (
    SELECT l.*, min(l.loaded_at) FILTER (WHERE l.settled)
        OVER (PARTITION BY l.source, l.account, l.day ORDER BY l.receipt_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS was_settled_at
    FROM ops.load_receipt l
) r
JOIN (SELECT DISTINCT c.source, c.vendor FROM mart.source_channel c) v ON v.source = r.source
JOIN mart.visible_account a ON a.vendor = v.vendor AND a.account = r.account
WHERE r.was_settled_at IS NOT NULL AND r.rows_inserted + r.rows_updated + r.rows_deleted > 0;

COMMENT ON VIEW bi.restatement IS 'What changed after a day was settled: a row for each load that changed rows of such a day, by the receipts that are kept, from the first one on that noted whether it settled. For SMS rows are messages; of the other vendors a day is one row, and what it said before is not kept. Erasure and reduction of personal data are no restatements. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.restatement.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.restatement.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.restatement.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.restatement.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.restatement.day IS 'Day that changed, in the account''s time zone.';
COMMENT ON COLUMN bi.restatement.restated_at IS 'When the load changed it (instant).';
COMMENT ON COLUMN bi.restatement.restated_on IS 'The same as a day of the account''s time zone.';
COMMENT ON COLUMN bi.restatement.was_settled_at IS 'When the day was settled first (instant).';
COMMENT ON COLUMN bi.restatement.rows_inserted IS 'Rows that came.';
COMMENT ON COLUMN bi.restatement.rows_updated IS 'Rows that changed.';
COMMENT ON COLUMN bi.restatement.rows_deleted IS 'Rows that went.';
COMMENT ON COLUMN bi.restatement.rows_change IS 'rows_inserted - rows_deleted.';
COMMENT ON COLUMN bi.restatement.rows_before IS 'Rows of the day before.';
COMMENT ON COLUMN bi.restatement.rows_after IS 'Rows of the day since.';
COMMENT ON COLUMN bi.restatement.is_replay IS 'Whether the rows were built again from stored responses; else the vendor answered otherwise.';
COMMENT ON COLUMN bi.restatement.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.restatement', 'warehouse_bi', 'account');
