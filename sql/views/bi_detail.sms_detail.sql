-- One row for each SMS, for warehouse_bi_detail: pseudonyms in place of numbers, templates in place of texts.
-- Readers may not call functions of schema mart: mart.country_of and mart.template_of are written out here.
--
-- What is told of a template are columns of mart.template, so that a condition is tried once a template and not once
-- an SMS; what a query does not name is not joined. Hence no security_barrier: who reads this half sees all accounts.
--
-- Both columns by which t is joined are taken from p first, although s has the site as well: the planner expects LIKE
-- to hold for one template, and would join all SMS of its site with it before it compares their templates.
-- Whether its day is settled is looked up for pending SMS alone.
CREATE OR REPLACE VIEW bi_detail.sms_detail AS
SELECT s.sent_on, extract(hour FROM s.sent_at AT TIME ZONE a.time_zone)::smallint AS hour, s.site_id,
    a.label AS account_label, s.recipient, coalesce(t.same_as, t.template_id) AS template_id,
    coalesce(s.country, CASE WHEN s.recipient IS NULL THEN 'none' ELSE 'unknown' END) AS country,
    CASE WHEN e.was_pending THEN 'undetermined' ELSE s.outcome END AS outcome,
    CASE WHEN e.was_pending THEN 'pending_when_settled' ELSE coalesce(s.reason, 'none') END AS reason,
    s.is_final, s.segments, s.occurrence, t.label AS template_label, t.category, t.campaign,
    s.sent_on AS day, coalesce(d.settled, false) AS settled, 'calltouch:' || s.site_id AS account_key
FROM warehouse.calltouch_sms s
LEFT JOIN mart.account a ON a.site_id = s.site_id
LEFT JOIN mart.template p ON p.site_id = s.site_id AND p.template_id = s.template_id
LEFT JOIN mart.template t ON t.site_id = coalesce(p.site_id, s.site_id)
    AND t.template_id = coalesce(p.template_id, CASE WHEN s.template_id IS NULL AND s.message IS NULL
        THEN '00000000-0000-0000-0000-000000000001'::uuid
        ELSE '00000000-0000-0000-0000-000000000000'::uuid END)
LEFT JOIN ops.day_state d
    ON d.source = 'calltouch' AND d.account = s.site_id::text AND d.day = s.sent_on
CROSS JOIN LATERAL (
    SELECT s.outcome = 'pending' AND EXISTS (
        SELECT FROM ops.day_state o WHERE o.source = 'calltouch' AND o.account = s.site_id::text
            AND o.day = s.sent_on AND o.settled) AS was_pending
) e
WHERE mart.sees_all();

COMMENT ON VIEW bi_detail.sms_detail IS 'SMS one by one, numbers as keyed pseudonyms, texts as templates, with what these are called: for warehouse_bi_detail. Ask for days and templates here, without a join to bi.template. Pseudonymous personal data. Source: Calltouch.';
COMMENT ON COLUMN bi_detail.sms_detail.sent_on IS 'Day of sending in the site''s time zone (CALLTOUCH_TIMEZONE).';
COMMENT ON COLUMN bi_detail.sms_detail.hour IS 'Hour of sending in the site''s time zone, 0 to 23.';
COMMENT ON COLUMN bi_detail.sms_detail.site_id IS 'Calltouch project (SiteId).';
COMMENT ON COLUMN bi_detail.sms_detail.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi_detail.sms_detail.recipient IS 'Keyed pseudonym of the number (BLAKE2b with PII_HASH_KEY). NULL: phone is NULL; such an SMS counts as a message, and as no recipient. Pseudonymous personal data.';
COMMENT ON COLUMN bi_detail.sms_detail.template_id IS 'Template, as in bi.template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi_detail.sms_detail.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN bi_detail.sms_detail.outcome IS 'delivered, failed, pending (no end yet) or undetermined (not known), from status and detail; what is pending when its day settles is undetermined from then on, as in every view.';
COMMENT ON COLUMN bi_detail.sms_detail.reason IS 'Why it failed or is undetermined, as a short code; pending_when_settled: its day settled without an end; none where there is no reason to give.';
COMMENT ON COLUMN bi_detail.sms_detail.is_final IS 'Whether the status will not change any more.';
COMMENT ON COLUMN bi_detail.sms_detail.segments IS 'SMS segments the text takes (70/67 characters with Cyrillic, 160/153 in GSM-7; a pair, such as € or an emoji, is not split between two): the cost driver. NULL: message is NULL.';
COMMENT ON COLUMN bi_detail.sms_detail.occurrence IS 'From 1: numbers SMS that are equal in phone, second and text; all of them are real.';
COMMENT ON COLUMN bi_detail.sms_detail.template_label IS 'Label of the template, as in bi.sms_day: LIKE on it needs no join.';
COMMENT ON COLUMN bi_detail.sms_detail.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi_detail.sms_detail.campaign IS 'Campaign of the template; NULL: none.';
COMMENT ON COLUMN bi_detail.sms_detail.day IS 'The same as sent_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi_detail.sms_detail.settled IS 'Whether the day no longer changes, as in bi.messaging_day. Compare settled days with settled days.';
COMMENT ON COLUMN bi_detail.sms_detail.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi_detail.sms_detail', 'warehouse_bi_detail', 'site', 'sent_on');
