-- The price of the most specific line: for account and country, for the account, for the country, for the vendor.
CREATE OR REPLACE VIEW bi.sms_cost WITH (security_barrier) AS
SELECT m.day, m.vendor, m.account, a.label AS account_label, m.site_id, m.template_id, t.label AS template_label,
    t.category, t.campaign, m.country, m.outcome, m.messages, m.segments, p.per, p.price, p.currency,
    (p.price * CASE p.per WHEN 'segment' THEN m.segments ELSE m.messages END)::numeric(18, 6) AS cost,
    CASE WHEN m.outcome = 'failed' THEN (p.price * CASE p.per WHEN 'segment' THEN m.segments
        ELSE m.messages END)::numeric(18, 6) WHEN p.price IS NOT NULL AND m.outcome IS NOT NULL THEN 0 END AS cost_of_failed,
    coalesce(s.settled, false) AS settled, m.vendor || ':' || m.account AS account_key,
    m.site_id || ':' || m.template_id AS template_key
FROM (
    SELECT d.sent_on AS day, 'calltouch' AS vendor, d.site_id::text AS account, d.site_id, d.template_id, d.country,
        CASE WHEN d.outcome = 'pending' AND x.settled THEN 'undetermined' ELSE d.outcome END AS outcome,
        sum(d.messages)::bigint AS messages, sum(d.segments)::bigint AS segments
    FROM mart.sms_day d
    LEFT JOIN ops.day_state x
        ON x.source = 'calltouch' AND x.account = d.site_id::text AND x.day = d.sent_on
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    UNION ALL
    SELECT y.day, y.vendor, y.account, NULL, NULL, 'unknown', NULL, y.attempted, NULL
    FROM mart.messaging_day y WHERE y.vendor <> 'calltouch' AND y.channel = 'sms' AND y.attempted IS NOT NULL
) m
LEFT JOIN mart.account a ON a.vendor = m.vendor AND a.account = m.account
LEFT JOIN mart.template t ON t.site_id = m.site_id AND t.template_id = m.template_id
LEFT JOIN ops.day_state s ON s.account = m.account AND s.day = m.day
    AND s.source = CASE m.vendor WHEN 'tellody' THEN 'tellody_activity' ELSE m.vendor END
LEFT JOIN mart.sms_price p1 ON p1.vendor = m.vendor AND p1.account = m.account AND p1.country = m.country
    AND m.day BETWEEN p1.valid_from AND p1.valid_to
LEFT JOIN mart.sms_price p2 ON p2.vendor = m.vendor AND p2.account = m.account AND p2.country IS NULL
    AND m.day BETWEEN p2.valid_from AND p2.valid_to
LEFT JOIN mart.sms_price p3 ON p3.vendor = m.vendor AND p3.account IS NULL AND p3.country = m.country
    AND m.day BETWEEN p3.valid_from AND p3.valid_to
LEFT JOIN mart.sms_price p4 ON p4.vendor = m.vendor AND p4.account IS NULL AND p4.country IS NULL
    AND m.day BETWEEN p4.valid_from AND p4.valid_to
CROSS JOIN LATERAL (
    SELECT coalesce(p1.per, p2.per, p3.per, p4.per) AS per,
        coalesce(p1.price, p2.price, p3.price, p4.price) AS price,
        coalesce(p1.currency, p2.currency, p3.currency, p4.currency) AS currency
) p;

COMMENT ON VIEW bi.sms_cost IS 'What SMS cost by the user''s price list (`warehouse labels`), by day, account, template, country and outcome. cost IS NULL: no price for it, or none that can be reckoned (segments unknown); it is not 0. Amounts of different currencies do not add up: name or group by currency. Source: Calltouch and Tellody counts; the user''s CSV.';
COMMENT ON COLUMN bi.sms_cost.day IS 'Day in the account''s time zone.';
COMMENT ON COLUMN bi.sms_cost.vendor IS 'calltouch or tellody.';
COMMENT ON COLUMN bi.sms_cost.account IS 'Calltouch site or Tellody account label, as text.';
COMMENT ON COLUMN bi.sms_cost.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.sms_cost.site_id IS 'The account as a number, for Calltouch; NULL for the others.';
COMMENT ON COLUMN bi.sms_cost.template_id IS 'Template; NULL: Tellody tells of none.';
COMMENT ON COLUMN bi.sms_cost.template_label IS 'Name given by the user, or else the masked text.';
COMMENT ON COLUMN bi.sms_cost.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi.sms_cost.campaign IS 'Campaign of the template; NULL: none.';
COMMENT ON COLUMN bi.sms_cost.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown: not told, as of all of Tellody; none: the vendor tells no number.';
COMMENT ON COLUMN bi.sms_cost.outcome IS 'As in bi.sms_day; NULL: Tellody does not report it.';
COMMENT ON COLUMN bi.sms_cost.messages IS 'SMS.';
COMMENT ON COLUMN bi.sms_cost.segments IS 'Segments that they took; NULL: not known.';
COMMENT ON COLUMN bi.sms_cost.per IS 'What the price is of: segment or message; NULL: no price.';
COMMENT ON COLUMN bi.sms_cost.price IS 'Price of one, in the currency; NULL: no price.';
COMMENT ON COLUMN bi.sms_cost.currency IS 'Currency of the price, ISO 4217; NULL: no price.';
COMMENT ON COLUMN bi.sms_cost.cost IS 'price * segments, or price * messages.';
COMMENT ON COLUMN bi.sms_cost.cost_of_failed IS 'cost, of what failed; 0: nothing did; NULL: no price, or failures are not reported.';
COMMENT ON COLUMN bi.sms_cost.settled IS 'Whether the day no longer changes.';
COMMENT ON COLUMN bi.sms_cost.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';
COMMENT ON COLUMN bi.sms_cost.template_key IS 'Site and template in one, as in bi.template; NULL: no template.';

SELECT mart.publish('bi.sms_cost', 'warehouse_bi', 'account', 'day');
