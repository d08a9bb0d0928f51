-- What a nightly run owes: since when an account is loaded (ops.account_start) and which days a person
-- asked for (ops.wanted_range); and finished months held against the vendor (ops.reconciliation).

SET ROLE warehouse_owner;

CREATE TABLE ops.account_start (
    source text NOT NULL,
    account text NOT NULL,
    first_observed_at timestamptz NOT NULL,
    PRIMARY KEY (source, account)
);
COMMENT ON TABLE ops.account_start IS 'Since when an account is loaded: one row for each source and account that ever had a receipt. Days that ended from the day before on are owed. Source: the pipeline.';
COMMENT ON COLUMN ops.account_start.source IS 'Source loaded.';
COMMENT ON COLUMN ops.account_start.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.account_start.first_observed_at IS 'When the vendor was asked for what the account''s first receipt tells of, UTC instant.';
GRANT SELECT, INSERT ON ops.account_start TO warehouse_loader;

CREATE TABLE ops.wanted_range (
    wanted_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    account text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    asked_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CHECK (first_day <= last_day)
);
CREATE INDEX wanted_range_standing ON ops.wanted_range (source, account) WHERE withdrawn_at IS NULL;
COMMENT ON TABLE ops.wanted_range IS 'Days that a person asked the nightly runs to load (warehouse backfill --spread): those of them that no receipt tells of are owed. Source: the command line.';
COMMENT ON COLUMN ops.wanted_range.wanted_id IS 'Identity of the wish.';
COMMENT ON COLUMN ops.wanted_range.source IS 'Source asked for.';
COMMENT ON COLUMN ops.wanted_range.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.wanted_range.first_day IS 'First day asked for, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.wanted_range.last_day IS 'Last day asked for, included.';
COMMENT ON COLUMN ops.wanted_range.asked_at IS 'When it was asked for, UTC instant.';
COMMENT ON COLUMN ops.wanted_range.withdrawn_at IS 'When the person took it back, UTC instant; NULL: it stands.';
GRANT SELECT, INSERT, UPDATE ON ops.wanted_range TO warehouse_loader;

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
