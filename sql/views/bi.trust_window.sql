CREATE OR REPLACE VIEW bi.trust_window WITH (security_barrier) AS
SELECT t.stats_on AS asked_on, t.company_id, a.label AS account_label, t.window_from, t.window_to,
    t.total, t.sent, t.pending, t.failed, t.received, t.pressed, t.closed, t.unknown, t.campaigns,
    t.stats_on AS day, 'trust:' || t.company_id AS account_key
FROM warehouse.trust_campaign_statistics t
JOIN mart.visible_account a ON a.vendor = 'trust' AND a.account = t.company_id::text
WHERE NOT t.is_daily;

COMMENT ON VIEW bi.trust_window IS 'Trust''s rolling figures of the seven days up to the day of asking. The windows overlap: never add them up. Source: Trust, statistics by company.';
COMMENT ON COLUMN bi.trust_window.asked_on IS 'Day of asking in the account''s time zone: the window''s last, up to the moment of asking.';
COMMENT ON COLUMN bi.trust_window.company_id IS 'Trust company.';
COMMENT ON COLUMN bi.trust_window.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.trust_window.window_from IS 'First day that the figures cover. Where is_daily is false it is assumed, not told by the vendor: the day of asking and the six days before it.';
COMMENT ON COLUMN bi.trust_window.window_to IS 'Last day that the figures cover, included; where is_daily is false, only up to the moment of asking.';
COMMENT ON COLUMN bi.trust_window.total IS 'Notifications programmed up to the moment of asking (vendor''s total). May be cumulative: not known to add up over days. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_window.sent IS 'Notifications sent successfully (vendor''s sended); says nothing of their arrival. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_window.pending IS 'Notifications that could not be sent yet, for whatever reason. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_window.failed IS 'Notifications that could not be sent and will not be tried again (vendor''s fails), mostly because the app was uninstalled. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.trust_window.received IS 'Messages that arrived on the device (RECEIVED); seen or not is unknown. 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_window.pressed IS 'Messages seen whose action button was pressed (PRESS_ACTION). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_window.closed IS 'Messages seen that were closed with the button (CLOSED). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_window.unknown IS 'Messages that failed to render on the device, or another unknown error on arrival (UNKNOWN). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN bi.trust_window.campaigns IS 'Vendor''s campaign, probably the number of distinct campaigns: does not add up over days. NULL: not reported.';
COMMENT ON COLUMN bi.trust_window.day IS 'The same as asked_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.trust_window.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.trust_window', 'warehouse_bi', 'trust');
