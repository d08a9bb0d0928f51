-- warehouse.tellody_activity: six totals of messaging and code activity a day.
-- warehouse.tellody_credit_purchase: every purchase of credits.

SET ROLE warehouse_owner;

CREATE TABLE warehouse.tellody_activity (
    activity_on date NOT NULL,
    account text NOT NULL,
    sms_sent bigint CHECK (sms_sent >= 0),
    email_sent bigint CHECK (email_sent >= 0),
    downloads bigint CHECK (downloads >= 0),
    optouts bigint CHECK (optouts >= 0),
    url_clicks bigint CHECK (url_clicks >= 0),
    vouchers_viewed bigint CHECK (vouchers_viewed >= 0),
    extra json,
    content_hash bigint NOT NULL,
    first_loaded_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (activity_on, account)
) PARTITION BY RANGE (activity_on);
COMMENT ON TABLE warehouse.tellody_activity IS 'Totals of messaging and code activity, one row a day and account, monthly partitions by activity_on. Source: Tellody, UniqueCode report, asked from the first to the last millisecond of the day.';
COMMENT ON COLUMN warehouse.tellody_activity.activity_on IS 'Day of the activity in the account''s time zone (TELLODY_TIMEZONE); 23 or 25 hours long where clocks change.';
COMMENT ON COLUMN warehouse.tellody_activity.account IS 'Label of the Tellody account (TELLODY_ACCOUNT); not its user name.';
COMMENT ON COLUMN warehouse.tellody_activity.sms_sent IS 'SMS attempts (SMS_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.email_sent IS 'E-mail attempts (EMAIL_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.downloads IS 'File downloads (DL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.optouts IS 'Opt-outs that were begun (OPTOUT), number of events. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.url_clicks IS 'Clicked URLs (URL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.vouchers_viewed IS 'Vouchers viewed (VOUCHER), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.extra IS 'Keys of the answer that have no column, as the vendor wrote them; NULL: none.';
COMMENT ON COLUMN warehouse.tellody_activity.content_hash IS 'xxh3 hash of the row''s columns: tells a rerun whether the row changed.';
COMMENT ON COLUMN warehouse.tellody_activity.first_loaded_at IS 'When the row was first loaded, UTC instant.';
COMMENT ON COLUMN warehouse.tellody_activity.changed_at IS 'When the row last changed, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON warehouse.tellody_activity TO warehouse_loader;

CREATE TABLE warehouse.tellody_credit_purchase (
    purchased_on date NOT NULL,
    account text NOT NULL,
    payment_id bigint NOT NULL,
    purchased_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    amount numeric,
    credits numeric,
    months integer,
    payment_method text,
    card_last_digits text,
    account_type text,
    invoice_history json,
    content_hash bigint NOT NULL,
    first_loaded_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (purchased_on, account, payment_id)
) PARTITION BY RANGE (purchased_on);
COMMENT ON TABLE warehouse.tellody_credit_purchase IS 'Every purchase of credits, one row each, monthly partitions by purchased_on. A purchase that the vendor re-dates moves to its new day. How credits are spent is in no API. Source: Tellody, PaymentHistory.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.purchased_on IS 'Day of the purchase in the account''s time zone (TELLODY_TIMEZONE).';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.account IS 'Label of the Tellody account (TELLODY_ACCOUNT); not its user name.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.payment_id IS 'The vendor''s identity of the purchase (paymentId).';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.purchased_at IS 'Moment of the purchase, instant (date, a Joda-Time value: millis wins over fields that contradict it).';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.time_zone IS 'Zone that the vendor told the moment in, its id as given; the account''s zone where it named none.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.amount IS 'Money paid, exact, in a currency that the vendor does not name (TELLODY_CURRENCY, if set). NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.credits IS 'Credits bought, exact. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.months IS 'The vendor''s months, not described in its documentation; NULL: not reported.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.payment_method IS 'Way of payment as the vendor names it (paymentMethod), such as Paypal; NULL: not reported. (reduced): more than a few words, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.card_last_digits IS 'Last digits of the card, text with its leading zeros (cardLastDigits). Personal data. NULL: not reported. (reduced): older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.account_type IS 'The vendor''s accountType, not described in its documentation; NULL: not reported. (reduced): more than a few words, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.invoice_history IS 'The vendor''s invoiceHistory, its own JSON text; may hold personal data. NULL: not reported. "(reduced)": older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.content_hash IS 'xxh3 hash of the row''s columns: tells a rerun whether the row changed.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.first_loaded_at IS 'When the row was first loaded, UTC instant.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.changed_at IS 'When the row last changed, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON warehouse.tellody_credit_purchase TO warehouse_loader;

RESET ROLE;
