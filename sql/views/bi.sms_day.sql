CREATE OR REPLACE VIEW bi.sms_day WITH (security_barrier) AS
SELECT d.sent_on, d.site_id, a.label AS account_label, d.template_id, t.label AS template_label,
    t.category, t.campaign, d.country,
    CASE WHEN d.outcome = 'pending' AND s.settled THEN 'undetermined' ELSE d.outcome END AS outcome,
    CASE WHEN d.outcome = 'pending' AND s.settled THEN 'pending_when_settled' ELSE d.reason END AS reason,
    d.messages, d.segments, d.repeats, d.sent_on AS day, coalesce(s.settled, false) AS settled,
    'calltouch:' || d.site_id AS account_key, d.site_id || ':' || d.template_id AS template_key
FROM mart.sms_day d
LEFT JOIN mart.account a ON a.site_id = d.site_id
LEFT JOIN mart.template t ON t.site_id = d.site_id AND t.template_id = d.template_id
LEFT JOIN ops.day_state s
    ON s.source = 'calltouch' AND s.account = d.site_id::text AND s.day = d.sent_on;

COMMENT ON VIEW bi.sms_day IS 'SMS by sending day, site, template, country, outcome and reason. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_day.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_day.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_day.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_day.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi.sms_day.template_label IS 'Name given by the user, or else the masked text; (rare): texts that fewer than 20 recipients of the site had; (no text): the vendor tells none.';
COMMENT ON COLUMN bi.sms_day.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi.sms_day.campaign IS 'Campaign of the template, given by the user; NULL: none.';
COMMENT ON COLUMN bi.sms_day.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN bi.sms_day.outcome IS 'delivered, failed, pending (no end yet) or undetermined (not known); what is pending when its day settles is undetermined from then on, with the reason pending_when_settled. The same in every view.';
COMMENT ON COLUMN bi.sms_day.reason IS 'Why, as a short code; no_status and no_detail: the vendor tells none of it; none where there is no reason to give.';
COMMENT ON COLUMN bi.sms_day.messages IS 'SMS. Of unsettled days the outcomes still change: see settled.';
COMMENT ON COLUMN bi.sms_day.segments IS 'Segments that they took (70/67 characters with Cyrillic, 160/153 in GSM-7): the cost driver. NULL: (no text), not known.';
COMMENT ON COLUMN bi.sms_day.repeats IS 'SMS among them that equal an earlier one in number, second and text.';
COMMENT ON COLUMN bi.sms_day.day IS 'The same as sent_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_day.settled IS 'Whether the day no longer changes, as in bi.messaging_day. Compare settled days with settled days.';
COMMENT ON COLUMN bi.sms_day.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';
COMMENT ON COLUMN bi.sms_day.template_key IS 'Site and template in one, as in bi.template: joins to it, many rows to one. template_id alone is in several rows of bi.template where sites share a text, so that a join by it multiplies.';

SELECT mart.publish('bi.sms_day', 'warehouse_bi', 'site', 'sent_on');
