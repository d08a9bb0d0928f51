-- Row by row, for warehouse_bi_detail: pseudonyms in place of numbers, templates in place of texts. A
-- reader may call no function of schema mart: the expressions of mart.country_of and mart.template_of.
CREATE OR REPLACE VIEW bi.sms_detail WITH (security_barrier) AS
SELECT s.sent_on, extract(hour FROM s.sent_at AT TIME ZONE a.time_zone)::smallint AS hour, s.site_id,
    a.label AS account_label, s.recipient,
    coalesce(t.same_as, t.template_id, CASE WHEN s.template_id IS NULL AND s.message IS NULL
        THEN '00000000-0000-0000-0000-000000000001'::uuid
        ELSE '00000000-0000-0000-0000-000000000000'::uuid END) AS template_id,
    coalesce(s.country, CASE WHEN s.recipient IS NULL THEN 'none' ELSE 'unknown' END) AS country,
    s.outcome, coalesce(s.reason, 'none') AS reason, s.is_final, s.segments, s.occurrence
FROM warehouse.calltouch_sms s
JOIN mart.visible_account a ON a.site_id = s.site_id
LEFT JOIN mart.template t ON t.site_id = s.site_id AND t.template_id = s.template_id;

COMMENT ON VIEW bi.sms_detail IS 'SMS one by one, numbers as keyed pseudonyms, texts as templates: for warehouse_bi_detail. Pseudonymous personal data. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_detail.sent_on IS 'Day of sending in the site''s time zone (CALLTOUCH_TIMEZONE).';
COMMENT ON COLUMN bi.sms_detail.hour IS 'Hour of sending in the site''s time zone, 0 to 23.';
COMMENT ON COLUMN bi.sms_detail.site_id IS 'Calltouch project (SiteId).';
COMMENT ON COLUMN bi.sms_detail.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_detail.recipient IS 'Keyed pseudonym of the number (BLAKE2b with PII_HASH_KEY). NULL: phone is NULL; such an SMS counts as a message, and as no recipient. Pseudonymous personal data.';
COMMENT ON COLUMN bi.sms_detail.template_id IS 'Template, as in bi.template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi.sms_detail.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN bi.sms_detail.outcome IS 'delivered, failed, pending or undetermined, from status and detail.';
COMMENT ON COLUMN bi.sms_detail.reason IS 'Why it failed or is undetermined, as a short code; NULL where there is no reason to give.';
COMMENT ON COLUMN bi.sms_detail.is_final IS 'Whether the status will not change any more.';
COMMENT ON COLUMN bi.sms_detail.segments IS 'SMS segments the text takes (70/67 characters with Cyrillic, 160/153 in GSM-7; a pair, such as € or an emoji, is not split between two): the cost driver. NULL: message is NULL.';
COMMENT ON COLUMN bi.sms_detail.occurrence IS 'From 1: numbers SMS that are equal in phone, second and text; all of them are real.';

SELECT mart.publish('bi.sms_detail', 'warehouse_bi_detail', 'site', 'sent_on');
