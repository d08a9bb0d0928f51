-- A security_barrier, so that these joins come before the one with the template's label: the planner expects LIKE
-- to hold for one template in 200, and would read the SMS once for each template that it holds for.
CREATE OR REPLACE VIEW mart.single_sms WITH (security_barrier) AS
SELECT s.sent_on, s.sent_at, s.site_id, a.label AS account_label, a.time_zone, s.recipient,
    coalesce(p.template_id, CASE WHEN s.template_id IS NULL AND s.message IS NULL
        THEN '00000000-0000-0000-0000-000000000001'::uuid
        ELSE '00000000-0000-0000-0000-000000000000'::uuid END) AS template_id,
    s.country, s.outcome, s.reason, s.is_final, s.segments, s.occurrence, coalesce(d.settled, false) AS settled
FROM warehouse.calltouch_sms s
LEFT JOIN mart.account a ON a.site_id = s.site_id
LEFT JOIN mart.template p ON p.site_id = s.site_id AND p.template_id = s.template_id
LEFT JOIN ops.day_state d
    ON d.source = 'calltouch' AND d.account = s.site_id::text AND d.day = s.sent_on
WHERE mart.sees_all();

COMMENT ON VIEW mart.single_sms IS 'SMS one by one, each with its row of mart.template, for readers who may see all.';
COMMENT ON COLUMN mart.single_sms.sent_on IS 'Day of sending in the site''s time zone.';
COMMENT ON COLUMN mart.single_sms.sent_at IS 'Moment of sending, instant.';
COMMENT ON COLUMN mart.single_sms.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.single_sms.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN mart.single_sms.time_zone IS 'Time zone of its days (tz database name).';
COMMENT ON COLUMN mart.single_sms.recipient IS 'Keyed pseudonym of the number; NULL: phone is NULL.';
COMMENT ON COLUMN mart.single_sms.template_id IS 'Its row of mart.template: its own if that is public, else the one of (rare) or of (no text).';
COMMENT ON COLUMN mart.single_sms.country IS 'Country of the number, ISO 3166-1 alpha-2; NULL where unknown.';
COMMENT ON COLUMN mart.single_sms.outcome IS 'As in the row, settled or not.';
COMMENT ON COLUMN mart.single_sms.reason IS 'As in the row; NULL where there is no reason to give.';
COMMENT ON COLUMN mart.single_sms.is_final IS 'Whether the status will not change any more.';
COMMENT ON COLUMN mart.single_sms.segments IS 'SMS segments the text takes; NULL: message is NULL.';
COMMENT ON COLUMN mart.single_sms.occurrence IS 'From 1: numbers SMS that are equal in phone, second and text.';
COMMENT ON COLUMN mart.single_sms.settled IS 'Whether the day no longer changes.';
