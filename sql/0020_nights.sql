-- What a nightly run owes: since when an account is loaded (ops.account_start), which days a person
-- asked for (ops.wanted_range), and of what kind a failure was (ops.extraction.failure_kind).

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
INSERT INTO ops.account_start (source, account, first_observed_at)
SELECT source, account, min(observed_at) FROM ops.load_receipt GROUP BY source, account;

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

ALTER TABLE ops.extraction ADD COLUMN failure_kind text;
COMMENT ON COLUMN ops.extraction.failure_kind IS 'Name of the error that a failed extraction ended with, as in errors.py; NULL: it did not fail.';
CREATE INDEX extraction_under_way ON ops.extraction (started_at) WHERE outcome = 'started';
CREATE INDEX extraction_failed ON ops.extraction (source, account, last_day) WHERE outcome = 'failed';

GRANT SELECT, INSERT ON ops.account_start TO warehouse_loader;
GRANT SELECT, INSERT, UPDATE ON ops.wanted_range TO warehouse_loader;

RESET ROLE;
