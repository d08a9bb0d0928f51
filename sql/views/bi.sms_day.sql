CREATE OR REPLACE VIEW bi.sms_day WITH (security_barrier) AS
SELECT d.sent_on, d.site_id, a.label AS account_label, d.template_id, t.label AS template_label,
    t.category, t.campaign, d.country, d.outcome, d.reason, d.messages, d.segments, d.repeats
FROM mart.sms_day d
LEFT JOIN mart.account a ON a.site_id = d.site_id
LEFT JOIN mart.template t ON t.site_id = d.site_id AND t.template_id = d.template_id;

COMMENT ON VIEW bi.sms_day IS 'SMS by sending day, site, template, country, outcome and reason. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN bi.sms_day.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN bi.sms_day.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.sms_day.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_day.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi.sms_day.template_label IS 'Name given by the user, or else the masked text; (rare): texts that fewer than 20 recipients of the site had; (no text): the vendor tells none.';
COMMENT ON COLUMN bi.sms_day.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi.sms_day.campaign IS 'Campaign of the template, given by the user; NULL: none.';
COMMENT ON COLUMN bi.sms_day.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN bi.sms_day.outcome IS 'delivered, failed, pending or undetermined.';
COMMENT ON COLUMN bi.sms_day.reason IS 'Why, as a short code; no_status and no_detail: the vendor tells none of it; none where there is no reason to give.';
COMMENT ON COLUMN bi.sms_day.messages IS 'SMS. Of unsettled days the outcomes still change: see bi.messaging_day.settled.';
COMMENT ON COLUMN bi.sms_day.segments IS 'Segments that they took (70/67 characters with Cyrillic, 160/153 in GSM-7): the cost driver. NULL: (no text), not known.';
COMMENT ON COLUMN bi.sms_day.repeats IS 'SMS among them that equal an earlier one in number, second and text.';

SELECT mart.publish('bi.sms_day', 'warehouse_bi', 'site', 'sent_on');
