CREATE OR REPLACE VIEW bi_pii.sms WITH (security_barrier) AS
SELECT s.sent_on, s.sent_at, s.site_id, a.label AS account_label, s.phone, s.phone_e164, s.country,
    s.recipient, s.message, s.template_id, s.status, s.status_detail,
    CASE WHEN s.outcome = 'pending' AND d.settled THEN 'undetermined' ELSE s.outcome END AS outcome,
    CASE WHEN s.outcome = 'pending' AND d.settled THEN 'pending_when_settled' ELSE s.reason END AS reason,
    s.is_final, s.segments, s.occurrence, s.sent_on AS day, coalesce(d.settled, false) AS settled,
    'calltouch:' || s.site_id AS account_key
FROM warehouse.calltouch_sms s
LEFT JOIN mart.account a ON a.site_id = s.site_id
LEFT JOIN ops.day_state d
    ON d.source = 'calltouch' AND d.account = a.account AND d.day = s.sent_on
WHERE mart.sees_all();

COMMENT ON VIEW bi_pii.sms IS 'SMS one by one, unmasked: for warehouse_bi_pii. Personal data. Source: Calltouch.';
COMMENT ON COLUMN bi_pii.sms.sent_on IS 'Day of sending in the site''s time zone (CALLTOUCH_TIMEZONE).';
COMMENT ON COLUMN bi_pii.sms.sent_at IS 'Moment of sending, instant (vendor''s local second read in the site''s time zone; the first reading of a repeated hour).';
COMMENT ON COLUMN bi_pii.sms.site_id IS 'Calltouch project (SiteId).';
COMMENT ON COLUMN bi_pii.sms.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi_pii.sms.phone IS 'Phone number as the vendor wrote it. NULL: the vendor said null, or left it out; the SMS is nobody''s, so phone_e164, country and recipient are NULL. (erased): the person asked for it; (reduced): older than PII_RETENTION_DAYS. Personal data.';
COMMENT ON COLUMN bi_pii.sms.phone_e164 IS 'Phone number in E.164; NULL where it is not a possible number, or there is none. Personal data.';
COMMENT ON COLUMN bi_pii.sms.country IS 'Country of the number, ISO 3166-1 alpha-2; NULL where unknown.';
COMMENT ON COLUMN bi_pii.sms.recipient IS 'Keyed pseudonym of the number (BLAKE2b with PII_HASH_KEY). NULL: phone is NULL; such an SMS counts as a message, and as no recipient. Pseudonymous personal data.';
COMMENT ON COLUMN bi_pii.sms.message IS 'Text of the SMS; characters Postgres cannot store are replaced. NULL: the vendor said null, or left it out; template_id and segments are then NULL. Personal data.';
COMMENT ON COLUMN bi_pii.sms.template_id IS 'Pseudonym of the text as bi shows it, its variable parts and the names in it masked; equal for SMS of one template; NULL where message is NULL, or templates are switched off.';
COMMENT ON COLUMN bi_pii.sms.status IS 'smsStatus as received: waiting, unknown, sent, error, delivered. NULL: the vendor said null, or left it out; outcome is then undetermined, reason no_status, is_final false, whatever the detail.';
COMMENT ON COLUMN bi_pii.sms.status_detail IS 'smsStatusDetail as received, in Russian. NULL: the vendor said null, or left it out; the outcome then goes by status alone, and the reason of a failure is no_detail.';
COMMENT ON COLUMN bi_pii.sms.outcome IS 'delivered, failed, pending (no end yet) or undetermined (not known), from status and detail; what is pending when its day settles is undetermined from then on, as in every view.';
COMMENT ON COLUMN bi_pii.sms.reason IS 'Why it failed or is undetermined, as a short code; pending_when_settled: its day settled without an end; no_status and no_detail: the vendor says null; NULL where there is no reason to give.';
COMMENT ON COLUMN bi_pii.sms.is_final IS 'Whether the status will not change any more.';
COMMENT ON COLUMN bi_pii.sms.segments IS 'SMS segments the text takes (70/67 characters with Cyrillic, 160/153 in GSM-7; a pair, such as € or an emoji, is not split between two): the cost driver. NULL: message is NULL.';
COMMENT ON COLUMN bi_pii.sms.occurrence IS 'From 1: numbers SMS that are equal in phone, second and text; all of them are real.';
COMMENT ON COLUMN bi_pii.sms.day IS 'The same as sent_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi_pii.sms.settled IS 'Whether the day no longer changes, as in bi.messaging_day. Compare settled days with settled days.';
COMMENT ON COLUMN bi_pii.sms.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi_pii.sms', 'warehouse_bi_pii', 'site', 'sent_on');
