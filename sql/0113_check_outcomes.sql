-- What the checks of a day said when it was last loaded, so that it can be told without Dagster.

SET ROLE warehouse_owner;

CREATE TABLE ops.check_outcome (
    source text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    check_name text NOT NULL,
    passed boolean NOT NULL,
    severity text NOT NULL CHECK (severity IN ('error', 'warning')),
    said text NOT NULL,
    causes text[] NOT NULL DEFAULT '{}',
    receipt_id bigint,
    evaluated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, account, day, check_name)
);
CREATE INDEX check_outcome_failing ON ops.check_outcome (source, check_name) WHERE NOT passed;
COMMENT ON TABLE ops.check_outcome IS 'What each check said of a day of an account when the day was last loaded, held or refused; written with its receipt. Source: the pipeline.';
COMMENT ON COLUMN ops.check_outcome.source IS 'Source of the day.';
COMMENT ON COLUMN ops.check_outcome.account IS 'Label of the account.';
COMMENT ON COLUMN ops.check_outcome.day IS 'Calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.check_outcome.check_name IS 'Name of the check, as in Dagster.';
COMMENT ON COLUMN ops.check_outcome.passed IS 'Whether it passed.';
COMMENT ON COLUMN ops.check_outcome.severity IS 'error or warning: how bad it is where it did not pass.';
COMMENT ON COLUMN ops.check_outcome.said IS 'What it said, without personal data or secrets.';
COMMENT ON COLUMN ops.check_outcome.causes IS 'Why it did not pass, each cause by its name (the reasons of rejects); empty: the check says it all.';
COMMENT ON COLUMN ops.check_outcome.receipt_id IS 'Receipt of the load that it speaks of; NULL: nothing was loaded.';
COMMENT ON COLUMN ops.check_outcome.evaluated_at IS 'When it was evaluated, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.check_outcome TO warehouse_loader;

RESET ROLE;
