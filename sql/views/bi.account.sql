CREATE OR REPLACE VIEW bi.account WITH (security_barrier) AS
SELECT vendor, account, site_id, label AS account_label, time_zone, currency,
    vendor || ':' || account AS account_key
FROM mart.visible_account;

COMMENT ON VIEW bi.account IS 'Every vendor account that was ever loaded. Source: the pipeline''s settings; labels: the user''s CSV.';
COMMENT ON COLUMN bi.account.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.account.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN bi.account.site_id IS 'The same as a number, for Calltouch; NULL for the others.';
COMMENT ON COLUMN bi.account.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.account.time_zone IS 'Time zone whose calendar days the account''s days are (tz database name).';
COMMENT ON COLUMN bi.account.currency IS 'Currency of the account''s amounts; NULL: not set, unknown.';
COMMENT ON COLUMN bi.account.account_key IS 'Vendor and account in one: calltouch:101. One row of this view each; every fact has it.';

SELECT mart.publish('bi.account', 'warehouse_bi', 'account');
