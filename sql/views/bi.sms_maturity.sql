CREATE OR REPLACE VIEW bi.sms_maturity WITH (security_barrier) AS
SELECT m.sent_on, m.observed_on, m.observed_on - m.sent_on AS age_days, m.site_id,
    a.label AS account_label, m.outcome, m.messages, m.turned_final, m.hours_to_final,
    m.sent_on AS day, 'calltouch:' || m.site_id AS account_key
FROM (
    SELECT x.sent_on, x.observed_on, x.site_id,
        CASE WHEN x.outcome = 'pending' AND s.day IS NOT NULL THEN 'undetermined'
            ELSE x.outcome END AS outcome,
        sum(x.messages)::integer AS messages, sum(x.turned_final)::integer AS turned_final,
        sum(x.hours_to_final) AS hours_to_final
    FROM mart.sms_maturity x
    LEFT JOIN mart.account z ON z.site_id = x.site_id
    LEFT JOIN ops.day_state s
        ON s.source = 'calltouch' AND s.account = x.site_id::text AND s.day = x.sent_on
        AND s.settled AND (s.observed_at AT TIME ZONE z.time_zone)::date <= x.observed_on
    GROUP BY 1, 2, 3, 4
) m
LEFT JOIN mart.account a ON a.site_id = m.site_id;

COMMENT ON VIEW bi.sms_maturity IS 'How a sending day stood on each day that the vendor was asked about it. Does not add up over observed_on. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_maturity.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_maturity.observed_on IS 'Day of asking, in the same zone; several on one day: the last.';
COMMENT ON COLUMN bi.sms_maturity.age_days IS 'Days from sent_on to observed_on.';
COMMENT ON COLUMN bi.sms_maturity.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_maturity.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_maturity.outcome IS 'delivered, failed, pending (no end yet) or undetermined, as it was then. In the observation that settled the day, what is pending is undetermined, as in every view.';
COMMENT ON COLUMN bi.sms_maturity.messages IS 'SMS of the outcome, as it was then.';
COMMENT ON COLUMN bi.sms_maturity.turned_final IS 'Those of them that had been seen unfinished before and were first seen final on observed_on.';
COMMENT ON COLUMN bi.sms_maturity.hours_to_final IS 'Hours from sending to the first poll that saw the SMS final, added up over turned_final (divide by it for the mean). SMS first seen final are left out: when they became so is not known.';
COMMENT ON COLUMN bi.sms_maturity.day IS 'The same as sent_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_maturity.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.sms_maturity', 'warehouse_bi', 'site');
