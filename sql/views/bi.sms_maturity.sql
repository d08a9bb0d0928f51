CREATE OR REPLACE VIEW bi.sms_maturity WITH (security_barrier) AS
SELECT m.sent_on, m.observed_on, m.observed_on - m.sent_on AS age_days, m.site_id,
    a.label AS account_label, m.outcome, m.messages, m.turned_final,
    m.hours_to_final
FROM mart.sms_maturity m LEFT JOIN mart.account a ON a.site_id = m.site_id;

COMMENT ON VIEW bi.sms_maturity IS 'How a sending day stood on each day that the vendor was asked about it. Does not add up over observed_on. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_maturity.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_maturity.observed_on IS 'Day of asking, in the same zone; several on one day: the last.';
COMMENT ON COLUMN bi.sms_maturity.age_days IS 'Days from sent_on to observed_on.';
COMMENT ON COLUMN bi.sms_maturity.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_maturity.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_maturity.outcome IS 'delivered, failed, pending or undetermined, as it was then.';
COMMENT ON COLUMN bi.sms_maturity.messages IS 'SMS of the outcome, as it was then.';
COMMENT ON COLUMN bi.sms_maturity.turned_final IS 'Those of them that had been seen unfinished before and were first seen final on observed_on.';
COMMENT ON COLUMN bi.sms_maturity.hours_to_final IS 'Hours from sending to the first poll that saw the SMS final, added up over turned_final (divide by it for the mean). SMS first seen final are left out: when they became so is not known.';

SELECT mart.publish('bi.sms_maturity', 'warehouse_bi', 'site');
