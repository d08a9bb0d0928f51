-- Schema bi: what analysts read. Every view names its columns, carries a comment on each, and is
-- granted by name at the end.
--
-- The views are barriers (security_barrier): no function or cast of a reader's query sees a row
-- before the view has decided to show it. Days are dates, whose comparisons pass a barrier, so that a
-- filter on days still prunes partitions and uses indexes. What a view unites is a barrier of its own:
-- the planner takes a UNION ALL apart, and the barrier around it is lost (seen on 15 and 18).
-- What is joined only to name things is joined with LEFT JOIN, on a key: a query that does not ask for
-- the name does not pay for it.

SET ROLE warehouse_owner;

CREATE VIEW bi.date_day AS
SELECT day, year, quarter, month, month_name, iso_week, iso_year, iso_week_number, iso_weekday,
    weekday_name, is_weekend, same_day_last_year
FROM mart.date_day;

CREATE VIEW bi.account WITH (security_barrier) AS
SELECT vendor, account, site_id, label AS account_label, time_zone, currency
FROM mart.visible_account;

CREATE VIEW bi.template WITH (security_barrier) AS
SELECT t.site_id, a.label AS account_label, t.template_id,
    coalesce(t.masked_text, '(text no longer kept)') AS template_text, t.label AS template_label,
    t.category, t.campaign, (t.published_at AT TIME ZONE 'UTC')::date AS published_on
FROM mart.template t
JOIN mart.visible_account a ON a.site_id = t.site_id;

CREATE VIEW bi.sms_day WITH (security_barrier) AS
SELECT d.sent_on, d.site_id, a.label AS account_label, d.template_id, t.label AS template_label,
    t.category, t.campaign, d.country, d.outcome, d.reason, d.messages, d.segments, d.repeats
FROM mart.sms_day d
LEFT JOIN mart.account a ON a.site_id = d.site_id
LEFT JOIN mart.template t ON t.site_id = d.site_id AND t.template_id = d.template_id;

CREATE VIEW bi.sms_hour WITH (security_barrier) AS
SELECT h.sent_on, h.hour, extract(isodow FROM h.sent_on)::smallint AS iso_weekday, h.site_id,
    a.label AS account_label, h.category, h.outcome, h.messages
FROM mart.sms_hour h LEFT JOIN mart.account a ON a.site_id = h.site_id;

CREATE VIEW bi.sms_reach WITH (security_barrier) AS
SELECT r.period, r.period_start, r.site_id, a.label AS account_label,
    r.category, r.recipients, r.recipients_4plus, r.messages
FROM mart.sms_reach r LEFT JOIN mart.account a ON a.site_id = r.site_id;

CREATE VIEW bi.sms_maturity WITH (security_barrier) AS
SELECT m.sent_on, m.observed_on, m.observed_on - m.sent_on AS age_days, m.site_id,
    a.label AS account_label, m.outcome, m.messages, m.turned_final,
    m.hours_to_final
FROM mart.sms_maturity m LEFT JOIN mart.account a ON a.site_id = m.site_id;

CREATE VIEW bi.sms_bad_numbers WITH (security_barrier) AS
SELECT b.month, b.site_id, a.label AS account_label, b.reason, b.recipients,
    b.messages_wasted
FROM mart.sms_bad_numbers b LEFT JOIN mart.account a ON a.site_id = b.site_id;

-- A calendar day of an account that has ended, since the first day that was ever loaded.
CREATE VIEW mart.expected_day WITH (security_barrier) AS
SELECT s.source, s.vendor, a.account, a.label, a.time_zone, d.day
FROM (SELECT DISTINCT source, vendor, tells_all_days FROM mart.source_channel) s
JOIN mart.visible_account a ON a.vendor = s.vendor
CROSS JOIN LATERAL (
    SELECT min(x.day) AS first, max(x.day) AS last FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account) was_loaded
JOIN mart.date_day d ON d.day >= was_loaded.first
    AND d.day <= greatest(was_loaded.last, (now() AT TIME ZONE a.time_zone)::date - 1)
WHERE NOT s.tells_all_days OR d.day > was_loaded.last OR EXISTS (
    SELECT FROM ops.day_state x
    WHERE x.source = s.source AND x.account = a.account AND x.day = d.day);
COMMENT ON VIEW mart.expected_day IS 'The days that should be loaded: from an account''s first loaded day to yesterday.';
COMMENT ON COLUMN mart.expected_day.source IS 'Source.';
COMMENT ON COLUMN mart.expected_day.vendor IS 'Its vendor.';
COMMENT ON COLUMN mart.expected_day.account IS 'Account.';
COMMENT ON COLUMN mart.expected_day.label IS 'Name given by the user, or else the account.';
COMMENT ON COLUMN mart.expected_day.time_zone IS 'Time zone of its days.';
COMMENT ON COLUMN mart.expected_day.day IS 'Day.';

CREATE VIEW bi.messaging_day WITH (security_barrier) AS
SELECT m.day, m.vendor, m.account, a.label AS account_label, m.channel,
    a.time_zone, true AS loaded, coalesce(s.settled, false) AS settled,
    m.attempted, m.accepted, m.delivered, m.failed,
    CASE WHEN m.vendor = 'calltouch' AND s.settled THEN 0 ELSE m.pending END AS pending,
    m.undetermined + CASE WHEN m.vendor = 'calltouch' AND s.settled THEN m.pending ELSE 0 END
        AS undetermined,
    m.engaged, m.opted_out, m.dismissed,
    CASE WHEN m.delivered IS NOT NULL THEN m.attempted END AS attempted_where_delivery_is_reported,
    m.delivered > m.attempted AS delivered_exceeds_attempted
FROM mart.messaging_day m
LEFT JOIN mart.account a ON a.vendor = m.vendor AND a.account = m.account
LEFT JOIN ops.day_state s ON s.account = m.account AND s.day = m.day
    AND s.source = CASE m.vendor WHEN 'tellody' THEN 'tellody_activity' ELSE m.vendor END
UNION ALL
SELECT e.day, e.vendor, e.account, e.label, c.channel, e.time_zone, false, false,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM mart.expected_day e
JOIN mart.source_channel c ON c.source = e.source AND c.channel IS NOT NULL
WHERE NOT EXISTS (
    SELECT FROM mart.messaging_day m
    WHERE m.day = e.day AND m.vendor = e.vendor AND m.account = e.account
      AND m.channel = c.channel);

CREATE VIEW bi.data_status WITH (security_barrier) AS
SELECT e.source, e.vendor, e.account, e.label AS account_label, e.day,
    CASE WHEN s.day IS NULL THEN 'missing' WHEN s.settled THEN 'settled' ELSE 'unsettled' END AS state,
    s.day IS NULL AS is_gap, coalesce(s.settled, false) AS is_settled,
    s.held IS NOT NULL AS is_held, s.rows,
    (s.observed_at AT TIME ZONE e.time_zone)::date AS asked_on
FROM mart.expected_day e
LEFT JOIN ops.day_state s ON s.source = e.source AND s.account = e.account AND s.day = e.day;

CREATE VIEW bi.data_until WITH (security_barrier) AS
SELECT e.source, e.vendor, e.account, e.label AS account_label, min(e.day) AS first_day,
    max(s.day) AS data_until,
    max(s.day) FILTER (WHERE s.settled) AS settled_until,
    coalesce(min(e.day) FILTER (WHERE s.day IS NULL) - 1, max(s.day)) AS complete_until,
    count(*) FILTER (WHERE s.day IS NULL) AS gap_days,
    count(*) FILTER (WHERE NOT s.settled) AS unsettled_days,
    count(*) FILTER (WHERE s.held IS NOT NULL) AS held_days,
    greatest((now() AT TIME ZONE e.time_zone)::date - 1 - max(s.day), 0) AS days_behind
FROM mart.expected_day e
LEFT JOIN ops.day_state s ON s.source = e.source AND s.account = e.account AND s.day = e.day
GROUP BY e.source, e.vendor, e.account, e.label, e.time_zone;

CREATE VIEW bi.tellody_activity_day WITH (security_barrier) AS
SELECT t.activity_on, t.account, a.label AS account_label, t.sms_sent, t.email_sent, t.url_clicks,
    t.downloads, t.vouchers_viewed, t.optouts
FROM warehouse.tellody_activity t
JOIN mart.visible_account a ON a.vendor = 'tellody' AND a.account = t.account;

CREATE VIEW bi.credit_purchase WITH (security_barrier) AS
SELECT p.purchased_on, p.account, a.label AS account_label, p.payment_id, p.amount, a.currency,
    p.credits, round(p.amount / nullif(p.credits, 0), 6) AS price_per_credit,
    sum(p.amount) OVER so_far AS amount_so_far, sum(p.credits) OVER so_far AS credits_so_far,
    p.months, p.payment_method, p.account_type
FROM warehouse.tellody_credit_purchase p
JOIN mart.visible_account a ON a.vendor = 'tellody' AND a.account = p.account
WINDOW so_far AS (PARTITION BY p.account ORDER BY p.purchased_at, p.payment_id);

CREATE VIEW bi.trust_day WITH (security_barrier) AS
SELECT t.stats_on, t.company_id, a.label AS account_label, t.total, t.sent, t.pending, t.failed,
    t.received, t.pressed, t.closed, t.unknown, t.campaigns
FROM warehouse.trust_campaign_statistics t
JOIN mart.visible_account a ON a.vendor = 'trust' AND a.account = t.company_id::text
WHERE t.is_daily;

CREATE VIEW bi.trust_window WITH (security_barrier) AS
SELECT t.stats_on AS asked_on, t.company_id, a.label AS account_label, t.window_from, t.window_to,
    t.total, t.sent, t.pending, t.failed, t.received, t.pressed, t.closed, t.unknown, t.campaigns
FROM warehouse.trust_campaign_statistics t
JOIN mart.visible_account a ON a.vendor = 'trust' AND a.account = t.company_id::text
WHERE NOT t.is_daily;

-- Row by row, for warehouse_bi_detail: pseudonyms in place of numbers, templates in place of texts.
CREATE VIEW bi.sms_detail WITH (security_barrier) AS
SELECT s.sent_on, extract(hour FROM s.sent_at AT TIME ZONE a.time_zone)::smallint AS hour, s.site_id,
    a.label AS account_label, s.recipient,
    coalesce(t.template_id, '00000000-0000-0000-0000-000000000000') AS template_id,
    coalesce(s.country, 'unknown') AS country, s.outcome, coalesce(s.reason, 'none') AS reason,
    s.is_final, s.segments, s.occurrence
FROM warehouse.calltouch_sms s
JOIN mart.visible_account a ON a.site_id = s.site_id
LEFT JOIN mart.template t ON t.site_id = s.site_id AND t.template_id = s.template_id;

CREATE VIEW bi_pii.sms WITH (security_barrier) AS
SELECT s.sent_on, s.sent_at, s.site_id, a.label AS account_label, s.phone, s.phone_e164, s.country,
    s.recipient, s.message, s.template_id, s.status, s.status_detail, s.outcome, s.reason,
    s.is_final, s.segments, s.occurrence
FROM warehouse.calltouch_sms s
JOIN mart.visible_account a ON a.site_id = s.site_id;

RESET ROLE;
