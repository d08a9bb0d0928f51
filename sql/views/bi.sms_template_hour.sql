CREATE OR REPLACE VIEW bi.sms_template_hour WITH (security_barrier) AS
SELECT h.sent_on AS day, extract(isodow FROM h.sent_on)::smallint AS iso_weekday, nullif(h.hour, -1) AS hour,
    h.site_id, a.label AS account_label, h.template_id, t.label AS template_label, t.category, t.campaign,
    h.messages, h.delivered, h.failed, coalesce(s.settled, false) AS settled,
    'calltouch:' || h.site_id AS account_key, h.site_id || ':' || h.template_id AS template_key
FROM mart.sms_template_hour h
LEFT JOIN mart.account a ON a.site_id = h.site_id
LEFT JOIN mart.template t ON t.site_id = h.site_id AND t.template_id = h.template_id
LEFT JOIN ops.day_state s
    ON s.source = 'calltouch' AND s.account = h.site_id::text AND s.day = h.sent_on;

COMMENT ON VIEW bi.sms_template_hour IS 'SMS by sending day and hour, site and template: when a template was sent, and what arrived. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_template_hour.day IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_template_hour.iso_weekday IS 'Weekday of day, 1 is Monday.';
COMMENT ON COLUMN bi.sms_template_hour.hour IS 'Hour of the day in the site''s time zone, 0 to 23; NULL: hours of small counts together (docs/bi.md, Small counts).';
COMMENT ON COLUMN bi.sms_template_hour.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_template_hour.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_template_hour.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi.sms_template_hour.template_label IS 'Name given by the user, or else the masked text.';
COMMENT ON COLUMN bi.sms_template_hour.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi.sms_template_hour.campaign IS 'Campaign of the template; NULL: none.';
COMMENT ON COLUMN bi.sms_template_hour.messages IS 'SMS.';
COMMENT ON COLUMN bi.sms_template_hour.delivered IS 'Those of them that arrived.';
COMMENT ON COLUMN bi.sms_template_hour.failed IS 'Those of them that will not arrive.';
COMMENT ON COLUMN bi.sms_template_hour.settled IS 'Whether the day no longer changes, as in bi.messaging_day. Compare settled days with settled days.';
COMMENT ON COLUMN bi.sms_template_hour.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';
COMMENT ON COLUMN bi.sms_template_hour.template_key IS 'Site and template in one, as in bi.template: joins to it, many rows to one.';

SELECT mart.publish('bi.sms_template_hour', 'warehouse_bi', 'site', 'day');
