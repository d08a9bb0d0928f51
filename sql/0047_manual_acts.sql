-- Who did by hand what changes or hands out data: one row an act, none of it personal data; and what
-- reduction leaves in further columns.

SET ROLE warehouse_owner;

CREATE TABLE ops.manual_act (
    act_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acted_at timestamptz NOT NULL DEFAULT now(),
    verb text NOT NULL,
    about text,
    run_id text,
    login text NOT NULL DEFAULT session_user,
    os_user text NOT NULL,
    host text NOT NULL,
    code_version text NOT NULL
);
COMMENT ON TABLE ops.manual_act IS 'One row for each act of a person that changes, takes or hands out data by hand: erasures, subject access, labels, new keys, held days taken. Who did it, not whom it was about. Rows are only added. Source: the command line and runs.';
COMMENT ON COLUMN ops.manual_act.act_id IS 'Identity of the act.';
COMMENT ON COLUMN ops.manual_act.acted_at IS 'When it began, UTC instant.';
COMMENT ON COLUMN ops.manual_act.verb IS 'What was done, as on the command line: forget, subject, labels, rekey, accept-shrink and their like.';
COMMENT ON COLUMN ops.manual_act.about IS 'What it was about: files, sources, accounts and days; no personal data. NULL: the verb says it all.';
COMMENT ON COLUMN ops.manual_act.run_id IS 'Dagster''s run that did it; NULL: none. A run that somebody started in the UI has the operating system''s user of the code location, since the UI does not tell who it was.';
COMMENT ON COLUMN ops.manual_act.login IS 'Login at Postgres (session_user).';
COMMENT ON COLUMN ops.manual_act.os_user IS 'User of the operating system, and who became that user by sudo.';
COMMENT ON COLUMN ops.manual_act.host IS 'Host that it was done on.';
COMMENT ON COLUMN ops.manual_act.code_version IS 'Version of the code that did it.';
GRANT SELECT, INSERT ON ops.manual_act TO warehouse_loader;

ALTER TABLE ops.erasure ADD COLUMN act_id bigint REFERENCES ops.manual_act;
COMMENT ON COLUMN ops.erasure.act_id IS 'Who asked for it (ops.manual_act); NULL: before that was noted.';
COMMENT ON COLUMN ops.erasure.finished_at IS 'When nothing was left to erase and the marts were counted afresh, UTC instant; NULL: it was not finished: `warehouse forget --again` finishes it.';
COMMENT ON COLUMN ops.suppressed_number.tail_hash IS 'Keyed BLAKE2b of its digits without the country''s code, by which it is found in texts however it is written; NULL: too short to be looked for there.';
COMMENT ON COLUMN ops.suppressed_recipient.recipient_hash IS 'Keyed BLAKE2b of the pseudonym under the PII_HASH_KEY of the time, as the number may have been read.';

COMMENT ON COLUMN warehouse.calltouch_sms.status IS 'smsStatus as received: waiting, unknown, sent, error, delivered. NULL: the vendor said null, or left it out; outcome is then undetermined, reason no_status, is_final false, whatever the detail. (reduced): another wording, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.calltouch_sms.status_detail IS 'smsStatusDetail as received, in Russian. NULL: the vendor said null, or left it out; the outcome then goes by status alone, and the reason of a failure is no_detail. (reduced): a wording that is not documented, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.payment_method IS 'Way of payment as the vendor names it (paymentMethod), such as Paypal; NULL: not reported. (reduced): more than a few words, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.card_last_digits IS 'Last digits of the card, text with its leading zeros (cardLastDigits). Personal data. NULL: not reported. (reduced): older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.account_type IS 'The vendor''s accountType, not described in its documentation; NULL: not reported. (reduced): more than a few words, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.invoice_history IS 'The vendor''s invoiceHistory, its own JSON text; may hold personal data. NULL: not reported. "(reduced)": older than PII_RETENTION_DAYS.';

RESET ROLE;
