CREATE OR REPLACE VIEW bi.month_check WITH (security_barrier) AS
SELECT r.source, a.vendor, r.account, a.label AS account_label, r.month, f.figure,
    (f.pair ->> 0)::numeric AS vendor_value, (f.pair ->> 1)::numeric AS our_value,
    (f.pair ->> 1)::numeric - (f.pair ->> 0)::numeric AS difference, r.outcome, r.undated, r.asked_at,
    NOT EXISTS (
        SELECT FROM ops.day_state s
        WHERE s.source = r.source AND s.account = r.account AND s.receipt_id > r.newest_receipt_id
          AND s.day >= r.month AND s.day < r.month + interval '1 month') AS is_current,
    r.month AS day, a.vendor || ':' || r.account AS account_key
FROM (
    SELECT DISTINCT ON (x.source, x.account, x.month) x.*
    FROM ops.reconciliation x WHERE x.outcome <> 'failed'
    ORDER BY x.source, x.account, x.month, x.reconciliation_id DESC
) r
JOIN (SELECT DISTINCT c.source, c.vendor FROM mart.source_channel c) v ON v.source = r.source
JOIN mart.visible_account a ON a.vendor = v.vendor AND a.account = r.account
CROSS JOIN LATERAL json_each(r.figures) f (figure, pair);

COMMENT ON VIEW bi.month_check IS 'The vendor''s own month beside ours: one row for each figure of the newest comparison of a finished month. Different figures do not add up. Source: reconciliation of months.';
COMMENT ON COLUMN bi.month_check.source IS 'calltouch, tellody_activity or trust.';
COMMENT ON COLUMN bi.month_check.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.month_check.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.month_check.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.month_check.month IS 'First day of the month, in the account''s time zone.';
COMMENT ON COLUMN bi.month_check.figure IS 'records (rows, with those that were rejected), or a counter of the vendor''s.';
COMMENT ON COLUMN bi.month_check.vendor_value IS 'The vendor''s value, asked for the whole month at once.';
COMMENT ON COLUMN bi.month_check.our_value IS 'The sum of the days that stood then.';
COMMENT ON COLUMN bi.month_check.difference IS 'our_value - vendor_value.';
COMMENT ON COLUMN bi.month_check.outcome IS 'agrees or differs, of all figures of the month.';
COMMENT ON COLUMN bi.month_check.undated IS 'Rejected records of no known day, by which records may differ.';
COMMENT ON COLUMN bi.month_check.asked_at IS 'When the vendor was asked (instant).';
COMMENT ON COLUMN bi.month_check.is_current IS 'Whether no day of the month was loaded again since.';
COMMENT ON COLUMN bi.month_check.day IS 'The same as month, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.month_check.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.month_check', 'warehouse_bi', 'account');
