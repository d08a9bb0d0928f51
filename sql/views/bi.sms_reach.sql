CREATE OR REPLACE VIEW bi.sms_reach WITH (security_barrier) AS
SELECT r.period, r.period_start, r.site_id, a.label AS account_label,
    r.category, r.recipients, r.recipients_4plus, r.messages, r.period_start AS day,
    'calltouch:' || r.site_id AS account_key
FROM mart.sms_reach r LEFT JOIN mart.account a ON a.site_id = r.site_id;

COMMENT ON VIEW bi.sms_reach IS 'Distinct recipients by month or by week, site and category. Does not add up, over periods, sites or categories: the row all counts each recipient once. SMS whose number the vendor does not tell are left out. Choose one period. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_reach.period IS 'month, or week (ISO: Monday to Sunday).';
COMMENT ON COLUMN bi.sms_reach.period_start IS 'First day of the period in the site''s time zone.';
COMMENT ON COLUMN bi.sms_reach.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_reach.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_reach.category IS 'Category of the template, rare, or all.';
COMMENT ON COLUMN bi.sms_reach.recipients IS 'Distinct recipients.';
COMMENT ON COLUMN bi.sms_reach.recipients_4plus IS 'Those of them with four messages or more in the period.';
COMMENT ON COLUMN bi.sms_reach.messages IS 'SMS that they had.';
COMMENT ON COLUMN bi.sms_reach.day IS 'The same as period_start, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_reach.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.sms_reach', 'warehouse_bi', 'site');
