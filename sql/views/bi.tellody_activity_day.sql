CREATE OR REPLACE VIEW bi.tellody_activity_day WITH (security_barrier) AS
SELECT t.activity_on, t.account, a.label AS account_label, t.sms_sent, t.email_sent, t.url_clicks,
    t.downloads, t.vouchers_viewed, t.optouts, t.activity_on AS day,
    'tellody:' || t.account AS account_key
FROM warehouse.tellody_activity t
JOIN mart.visible_account a ON a.vendor = 'tellody' AND a.account = t.account;

COMMENT ON VIEW bi.tellody_activity_day IS 'Tellody''s totals a day: attempts, and events (not people). Which channel an event belongs to is not reported. Source: Tellody, UniqueCode report.';
COMMENT ON COLUMN bi.tellody_activity_day.activity_on IS 'Day of the activity in the account''s time zone (TELLODY_TIMEZONE); 23 or 25 hours long where clocks change.';
COMMENT ON COLUMN bi.tellody_activity_day.account IS 'Label of the Tellody account (TELLODY_ACCOUNT); not its user name.';
COMMENT ON COLUMN bi.tellody_activity_day.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.tellody_activity_day.sms_sent IS 'SMS attempts (SMS_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.email_sent IS 'E-mail attempts (EMAIL_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.url_clicks IS 'Clicked URLs (URL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.downloads IS 'File downloads (DL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.vouchers_viewed IS 'Vouchers viewed (VOUCHER), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.optouts IS 'Opt-outs that were begun (OPTOUT), number of events. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.tellody_activity_day.day IS 'The same as activity_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.tellody_activity_day.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.tellody_activity_day', 'warehouse_bi', 'tellody');
