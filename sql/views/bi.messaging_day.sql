CREATE OR REPLACE VIEW bi.messaging_day WITH (security_barrier) AS
SELECT m.day, m.vendor, m.account, a.label AS account_label, m.channel,
    a.time_zone, true AS loaded, coalesce(s.settled, false) AS settled,
    m.attempted, m.accepted, m.delivered, m.failed,
    CASE WHEN m.vendor = 'calltouch' AND s.settled THEN 0 ELSE m.pending END AS pending,
    m.undetermined + CASE WHEN m.vendor = 'calltouch' AND s.settled THEN m.pending ELSE 0 END
        AS undetermined,
    m.engaged, m.opted_out, m.dismissed,
    CASE WHEN m.delivered IS NOT NULL THEN m.attempted END AS attempted_where_delivery_is_reported,
    m.delivered > m.attempted AS delivered_exceeds_attempted,
    m.vendor || ':' || m.account AS account_key
FROM mart.messaging_day m
LEFT JOIN mart.account a ON a.vendor = m.vendor AND a.account = m.account
LEFT JOIN ops.day_state s ON s.account = m.account AND s.day = m.day
    AND s.source = CASE m.vendor WHEN 'tellody' THEN 'tellody_activity' ELSE m.vendor END
UNION ALL
SELECT e.day, e.vendor, e.account, e.label, c.channel, e.time_zone, false, false,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    e.vendor || ':' || e.account
FROM mart.expected_day e
JOIN mart.source_channel c ON c.source = e.source AND c.channel IS NOT NULL
WHERE NOT EXISTS (
    SELECT FROM mart.messaging_day m
    WHERE m.day = e.day AND m.vendor = e.vendor AND m.account = e.account
      AND m.channel = c.channel);

COMMENT ON VIEW bi.messaging_day IS 'The fact across vendors: messages by day, vendor, account and channel. NULL: not reported; 0: reported as none; a day that was not loaded is a row of NULLs with loaded = false. delivery rate = sum(delivered) / nullif(sum(attempted_where_delivery_is_reported), 0); final rate = sum(delivered) / nullif(sum(delivered + failed), 0). Of Trust attempted is its total, which is not known to add up over days: take a rate a day. Source: bi.sms_day, Tellody activity, Trust daily statistics.';
COMMENT ON COLUMN bi.messaging_day.day IS 'Calendar day in the account''s time zone: of sending (Calltouch), of the activity (Tellody), of the statistics (Trust).';
COMMENT ON COLUMN bi.messaging_day.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN bi.messaging_day.account IS 'Calltouch site, Tellody account label or Trust company.';
COMMENT ON COLUMN bi.messaging_day.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.messaging_day.channel IS 'sms, email, push, or unattributed (Tellody reports reactions without their channel).';
COMMENT ON COLUMN bi.messaging_day.time_zone IS 'Time zone of the day (tz database name).';
COMMENT ON COLUMN bi.messaging_day.loaded IS 'Whether the day was loaded. False: a gap, since the account''s first loaded day.';
COMMENT ON COLUMN bi.messaging_day.settled IS 'Whether the day''s figures no longer change. Rates of unsettled days are still rising.';
COMMENT ON COLUMN bi.messaging_day.attempted IS 'Messages that the vendor tried, or was told, to send. Calltouch: rows; Tellody: SMS_SENT, EMAIL_SENT; Trust: total.';
COMMENT ON COLUMN bi.messaging_day.accepted IS 'Messages handed over, arrival not known. Trust: sended; the others do not report it.';
COMMENT ON COLUMN bi.messaging_day.delivered IS 'Messages that arrived. Calltouch: outcome delivered; Trust: RECEIVED; Tellody does not report it.';
COMMENT ON COLUMN bi.messaging_day.failed IS 'Messages that will not arrive. Calltouch: outcome failed; Trust: fails; Tellody does not report it.';
COMMENT ON COLUMN bi.messaging_day.pending IS 'Messages without an end yet. Calltouch: outcome pending, none once the day is settled; Trust: pending.';
COMMENT ON COLUMN bi.messaging_day.undetermined IS 'Messages whose end is not known. Calltouch: outcome undetermined, with what was still pending when the day settled; Trust: UNKNOWN. For Calltouch attempted = delivered + failed + pending + undetermined.';
COMMENT ON COLUMN bi.messaging_day.engaged IS 'Events of engagement, not people. Tellody: clicked URLs + downloads + vouchers viewed (unattributed); Trust: PRESS_ACTION.';
COMMENT ON COLUMN bi.messaging_day.opted_out IS 'Opt-outs begun (Tellody, unattributed), not necessarily completed.';
COMMENT ON COLUMN bi.messaging_day.dismissed IS 'Messages that the reader closed (Trust: CLOSED).';
COMMENT ON COLUMN bi.messaging_day.attempted_where_delivery_is_reported IS 'attempted where the vendor reports delivered, else NULL: the denominator of a delivery rate over several vendors.';
COMMENT ON COLUMN bi.messaging_day.delivered_exceeds_attempted IS 'True where the vendor reports more delivered than attempted: the rate is above 1, shown as it is.';
COMMENT ON COLUMN bi.messaging_day.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.messaging_day', 'warehouse_bi', 'account');
