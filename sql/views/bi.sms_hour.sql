CREATE OR REPLACE VIEW bi.sms_hour WITH (security_barrier) AS
SELECT h.sent_on, nullif(h.hour, -1) AS hour, extract(isodow FROM h.sent_on)::smallint AS iso_weekday, h.site_id,
    a.label AS account_label, h.category, h.outcome, h.messages, h.sent_on AS day, h.settled,
    'calltouch:' || h.site_id AS account_key
FROM (
    SELECT x.sent_on, x.hour, x.site_id, x.category,
        CASE WHEN x.outcome = 'pending' AND s.settled THEN 'undetermined' ELSE x.outcome END AS outcome,
        coalesce(s.settled, false) AS settled, sum(x.messages)::integer AS messages
    FROM mart.sms_hour x
    LEFT JOIN ops.day_state s
        ON s.source = 'calltouch' AND s.account = x.site_id::text AND s.day = x.sent_on
    GROUP BY 1, 2, 3, 4, 5, 6
) h
LEFT JOIN mart.account a ON a.site_id = h.site_id;

COMMENT ON VIEW bi.sms_hour IS 'SMS by sending day and hour, site, category and outcome. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_hour.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_hour.hour IS 'Hour of the day in the site''s time zone, 0 to 23; NULL: hours of small counts together (docs/bi.md, Small counts).';
COMMENT ON COLUMN bi.sms_hour.iso_weekday IS 'Weekday of sent_on, 1 is Monday.';
COMMENT ON COLUMN bi.sms_hour.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_hour.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_hour.category IS 'Category of the template, or rare.';
COMMENT ON COLUMN bi.sms_hour.outcome IS 'delivered, failed, pending (no end yet) or undetermined (not known); what is pending when its day settles is undetermined from then on. The same in every view.';
COMMENT ON COLUMN bi.sms_hour.messages IS 'SMS.';
COMMENT ON COLUMN bi.sms_hour.day IS 'The same as sent_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_hour.settled IS 'Whether the day no longer changes, as in bi.messaging_day. Compare settled days with settled days.';
COMMENT ON COLUMN bi.sms_hour.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.sms_hour', 'warehouse_bi', 'site', 'sent_on');
