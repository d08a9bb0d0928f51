-- Months held against the vendor: over a finished month the sum of its days equals one call.

SET ROLE warehouse_owner;

CREATE TABLE ops.reconciliation (
    reconciliation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    account text NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    asked_at timestamptz NOT NULL,
    asked_on date NOT NULL,
    run_id text,
    newest_receipt_id bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('agrees', 'differs', 'failed')),
    figures json,
    undated bigint NOT NULL DEFAULT 0,
    failure text,
    requests integer NOT NULL,
    points integer NOT NULL,
    code_version text NOT NULL
);
CREATE INDEX reconciliation_by_month ON ops.reconciliation (source, account, month, reconciliation_id DESC);
COMMENT ON TABLE ops.reconciliation IS 'One row for each time that the vendor was asked for a finished month in one call, to hold the sum of its days against. A month is asked for again only after a day of it was loaded again. Source: the pipeline.';
COMMENT ON COLUMN ops.reconciliation.reconciliation_id IS 'Identity; later ones are higher.';
COMMENT ON COLUMN ops.reconciliation.source IS 'Source asked: calltouch, tellody_activity or trust.';
COMMENT ON COLUMN ops.reconciliation.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.reconciliation.month IS 'First day of the month, in the account''s time zone.';
COMMENT ON COLUMN ops.reconciliation.asked_at IS 'When the vendor was asked, UTC instant.';
COMMENT ON COLUMN ops.reconciliation.asked_on IS 'The same as a day of the account''s time zone: WAREHOUSE_RECONCILE_MONTHS counts by it.';
COMMENT ON COLUMN ops.reconciliation.run_id IS 'Dagster run that asked, where one did.';
COMMENT ON COLUMN ops.reconciliation.newest_receipt_id IS 'The newest receipt of the month''s days at that time (ops.day_state): what the warehouse''s figures are of.';
COMMENT ON COLUMN ops.reconciliation.outcome IS 'agrees, differs, or failed (the vendor did not answer: asked again).';
COMMENT ON COLUMN ops.reconciliation.figures IS 'Each figure by name, with the vendor''s and the warehouse''s value; records: rows, and records of the month that were rejected. NULL: failed.';
COMMENT ON COLUMN ops.reconciliation.undated IS 'Rejected records of no known day, which may belong to the month: records may differ by as many.';
COMMENT ON COLUMN ops.reconciliation.failure IS 'Why it failed, without personal data or secrets.';
COMMENT ON COLUMN ops.reconciliation.requests IS 'HTTP requests sent, retries and sign-ins included.';
COMMENT ON COLUMN ops.reconciliation.points IS 'API points counted for it.';
COMMENT ON COLUMN ops.reconciliation.code_version IS 'Version of the code that compared.';
GRANT SELECT, INSERT ON ops.reconciliation TO warehouse_loader;

RESET ROLE;
