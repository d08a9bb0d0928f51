CREATE OR REPLACE VIEW bi.credit_purchase WITH (security_barrier) AS
SELECT p.purchased_on, p.account, a.label AS account_label, p.payment_id, p.amount::numeric(18,4) AS amount,
    a.currency, p.credits::numeric(18,4) AS credits,
    (p.amount / nullif(p.credits, 0))::numeric(18,6) AS price_per_credit,
    (sum(p.amount) OVER so_far)::numeric(18,4) AS amount_so_far,
    (sum(p.credits) OVER so_far)::numeric(18,4) AS credits_so_far,
    p.months, p.payment_method, p.account_type, p.purchased_on AS day,
    'tellody:' || p.account AS account_key
FROM warehouse.tellody_credit_purchase p
JOIN mart.visible_account a ON a.vendor = 'tellody' AND a.account = p.account
WINDOW so_far AS (PARTITION BY p.account ORDER BY p.purchased_at, p.payment_id);

COMMENT ON VIEW bi.credit_purchase IS 'Every purchase of Tellody credits. Credits are bought; their spending is in no API: there is no balance. Source: Tellody, PaymentHistory.';
COMMENT ON COLUMN bi.credit_purchase.purchased_on IS 'Day of the purchase in the account''s time zone (TELLODY_TIMEZONE).';
COMMENT ON COLUMN bi.credit_purchase.account IS 'Label of the Tellody account (TELLODY_ACCOUNT); not its user name.';
COMMENT ON COLUMN bi.credit_purchase.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.credit_purchase.payment_id IS 'The vendor''s identity of the purchase (paymentId).';
COMMENT ON COLUMN bi.credit_purchase.amount IS 'Money paid, to four decimals, in a currency that the vendor does not name (TELLODY_CURRENCY, if set). NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.credit_purchase.currency IS 'Currency of the amounts (TELLODY_CURRENCY); NULL: not set, unknown.';
COMMENT ON COLUMN bi.credit_purchase.credits IS 'Credits bought, to four decimals. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.credit_purchase.price_per_credit IS 'amount / credits, six decimals; NULL where no credits were bought.';
COMMENT ON COLUMN bi.credit_purchase.amount_so_far IS 'Amounts of the account added up to this purchase, from the first one loaded.';
COMMENT ON COLUMN bi.credit_purchase.credits_so_far IS 'Credits of the account added up to this purchase, from the first one loaded; not a balance.';
COMMENT ON COLUMN bi.credit_purchase.months IS 'The vendor''s months, not described in its documentation; NULL: not reported.';
COMMENT ON COLUMN bi.credit_purchase.payment_method IS 'Way of payment as the vendor names it (paymentMethod), such as Paypal; NULL: not reported.';
COMMENT ON COLUMN bi.credit_purchase.account_type IS 'The vendor''s accountType, not described in its documentation; NULL: not reported.';
COMMENT ON COLUMN bi.credit_purchase.day IS 'The same as purchased_on, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.credit_purchase.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';

SELECT mart.publish('bi.credit_purchase', 'warehouse_bi', 'tellody');
