CREATE OR REPLACE VIEW bi.sms_bad_numbers WITH (security_barrier) AS
SELECT b.month, b.site_id, a.label AS account_label, b.reason, b.recipients,
    b.messages_wasted, b.month AS day, 'calltouch:' || b.site_id AS account_key,
    b.segments_wasted
FROM mart.sms_bad_numbers b LEFT JOIN mart.account a ON a.site_id = b.site_id;

COMMENT ON VIEW bi.sms_bad_numbers IS 'Recipients whose SMS failed twice or more for one reason within a month. Recipients do not add up. SMS whose number the vendor does not tell are left out. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_bad_numbers.month IS 'First day of the month, in the site''s time zone.';
COMMENT ON COLUMN bi.sms_bad_numbers.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_bad_numbers.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_bad_numbers.reason IS 'Why the SMS failed, as a short code.';
COMMENT ON COLUMN bi.sms_bad_numbers.recipients IS 'Recipients with two or more failures for this reason in the month.';
COMMENT ON COLUMN bi.sms_bad_numbers.messages_wasted IS 'Their failures after the first: what dropping the number would have saved.';
COMMENT ON COLUMN bi.sms_bad_numbers.day IS 'The same as month, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_bad_numbers.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';
COMMENT ON COLUMN bi.sms_bad_numbers.segments_wasted IS 'Segments of messages_wasted, those of texts that the vendor does not tell left out.';

SELECT mart.publish('bi.sms_bad_numbers', 'warehouse_bi', 'site');
