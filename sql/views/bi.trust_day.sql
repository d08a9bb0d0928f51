CREATE OR REPLACE VIEW bi.trust_day WITH (security_barrier) AS
SELECT t.stats_on, t.company_id, a.label AS account_label, t.total, t.sent, t.pending, t.failed,
    t.received, t.pressed, t.closed, t.unknown, t.campaigns,
    t.stats_on AS day, 'trust:' || t.company_id AS account_key
FROM warehouse.trust_campaign_statistics t
JOIN mart.visible_account a ON a.vendor = 'trust' AND a.account = t.company_id::text
WHERE t.is_daily;

COMMENT ON VIEW bi.trust_day IS 'Trust''s figures of one day, where the vendor was proved to answer for single days. Source: Trust, statistics by company.';
COMMENT ON COLUMN bi.trust_day.stats_on IS 'Day of the figures in the account''s time zone (TRUST_TIMEZONE); where is_daily is false, the day of asking.';
COMMENT ON COLUMN bi.trust_day.company_id IS 'Trust company.';
COMMENT ON COLUMN bi.trust_day.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.trust_day.total IS 'Notifications programmed up to the moment of asking (vendor''s total). May be cumulative: not known to add up over days. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_day.sent IS 'Notifications sent successfully (vendor''s sended); says nothing of their arrival. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_day.pending IS 'Notifications that could not be sent yet, for whatever reason. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_day.failed IS 'Notifications that could not be sent and will not be tried again (vendor''s fails), mostly because the app was uninstalled. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_day.received IS 'Messages that arrived on the device (RECEIVED); seen or not is unknown. 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_day.pressed IS 'Messages seen whose action button was pressed (PRESS_ACTION). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_day.closed IS 'Messages seen that were closed with the button (CLOSED). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_day.unknown IS 'Messages that failed to render on the device, or another unknown error on arrival (UNKNOWN). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_day.campaigns IS 'Vendor''s campaign, probably the number of distinct campaigns: does not add up over days. NULL: not reported.';
COMMENT ON COLUMN bi.trust_day.day IS 'The same as stats_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.trust_day.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.trust_day', 'warehouse_bi', 'trust');
