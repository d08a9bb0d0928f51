CREATE OR REPLACE VIEW bi.credit_purchase WITH (security_barrier) AS
SELECT p.purchased_on, p.account, a.label AS account_label, p.payment_id, p.amount, a.currency,
    p.credits, round(p.amount / nullif(p.credits, 0), 6) AS price_per_credit,
    sum(p.amount) OVER so_far AS amount_so_far, sum(p.credits) OVER so_far AS credits_so_far,
    p.months, p.payment_method, p.account_type
FROM warehouse.tellody_credit_purchase p
JOIN mart.visible_account a ON a.vendor = 'tellody' AND a.account = p.account
WINDOW so_far AS (PARTITION BY p.account ORDER BY p.purchased_at, p.payment_id);

COMMENT ON VIEW bi.credit_purchase IS 'Every purchase of Tellody credits. Credits are bought; their spending is in no API: there is no balance. Source: Tellody, PaymentHistory.';
COMMENT ON COLUMN bi.credit_purchase.purchased_on IS 'Day of the purchase in the account''s time zone (TELLODY_TIMEZONE).';
COMMENT ON COLUMN bi.credit_purchase.account IS 'Label of the Tellody account (TELLODY_ACCOUNT); not its user name.';
COMMENT ON COLUMN bi.credit_purchase.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.credit_purchase.payment_id IS 'The vendor''s identity of the purchase (paymentId).';
COMMENT ON COLUMN bi.credit_purchase.amount IS 'Money paid, exact, in a currency that the vendor does not name (TELLODY_CURRENCY, if set). NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.credit_purchase.currency IS 'Currency of the amounts (TELLODY_CURRENCY); NULL: not set, unknown.';
COMMENT ON COLUMN bi.credit_purchase.credits IS 'Credits bought, exact. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN bi.credit_purchase.price_per_credit IS 'amount / credits, six decimals; NULL where no credits were bought.';
COMMENT ON COLUMN bi.credit_purchase.amount_so_far IS 'Amounts of the account added up to this purchase, from the first one loaded.';
COMMENT ON COLUMN bi.credit_purchase.credits_so_far IS 'Credits of the account added up to this purchase, from the first one loaded; not a balance.';
COMMENT ON COLUMN bi.credit_purchase.months IS 'The vendor''s months, not described in its documentation; NULL: not reported.';
COMMENT ON COLUMN bi.credit_purchase.payment_method IS 'Way of payment as the vendor names it (paymentMethod), such as Paypal; NULL: not reported.';
COMMENT ON COLUMN bi.credit_purchase.account_type IS 'The vendor''s accountType, not described in its documentation; NULL: not reported.';

SELECT mart.publish('bi.credit_purchase', 'warehouse_bi', 'tellody');
