CREATE OR REPLACE VIEW mart.visible_account WITH (security_barrier) AS
SELECT a.vendor, a.account, a.site_id, a.time_zone, a.currency, a.label
FROM mart.account a WHERE mart.sees_all();

COMMENT ON VIEW mart.visible_account IS 'Every account, for readers who may see all; no row for others: mart.accounts_of() has theirs.';
COMMENT ON COLUMN mart.visible_account.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN mart.visible_account.account IS 'Calltouch site, Tellody account label or Trust company.';
COMMENT ON COLUMN mart.visible_account.site_id IS 'Calltouch site as a number; NULL for other vendors.';
COMMENT ON COLUMN mart.visible_account.time_zone IS 'Time zone of the account''s days.';
COMMENT ON COLUMN mart.visible_account.currency IS 'Currency of its amounts; NULL: unknown.';
COMMENT ON COLUMN mart.visible_account.label IS 'Name given by the user, or else the account itself.';
