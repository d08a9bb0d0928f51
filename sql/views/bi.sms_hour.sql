CREATE OR REPLACE VIEW bi.sms_hour WITH (security_barrier) AS
SELECT h.sent_on, h.hour, extract(isodow FROM h.sent_on)::smallint AS iso_weekday, h.site_id,
    a.label AS account_label, h.category, h.outcome, h.messages
FROM mart.sms_hour h LEFT JOIN mart.account a ON a.site_id = h.site_id;

COMMENT ON VIEW bi.sms_hour IS 'SMS by sending day and hour, site, category and outcome. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_hour.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_hour.hour IS 'Hour of the day in the site''s time zone, 0 to 23.';
COMMENT ON COLUMN bi.sms_hour.iso_weekday IS 'Weekday of sent_on, 1 is Monday.';
COMMENT ON COLUMN bi.sms_hour.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_hour.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_hour.category IS 'Category of the template, or rare.';
COMMENT ON COLUMN bi.sms_hour.outcome IS 'delivered, failed, pending or undetermined.';
COMMENT ON COLUMN bi.sms_hour.messages IS 'SMS.';

SELECT mart.publish('bi.sms_hour', 'warehouse_bi', 'site', 'sent_on');
