-- The ledger: what was asked (ops.extraction), what was answered (raw.response), what a load did
-- (ops.load_receipt), what stands now (ops.day_state), what could not be loaded (ops.rejected_record).

SET ROLE warehouse_owner;

CREATE TABLE ops.extraction (
    extraction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    account text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    run_id text,
    requests integer NOT NULL DEFAULT 0,
    points integer NOT NULL DEFAULT 0,
    pages integer NOT NULL DEFAULT 0,
    vendor_total bigint,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT 'started'
        CHECK (outcome IN ('started', 'complete', 'failed', 'split', 'abandoned')),
    failure text,
    notes json,
    code_version text NOT NULL,
    failure_kind text,
    reduced_before date,
    CHECK (first_day <= last_day)
);
CREATE INDEX extraction_by_window ON ops.extraction (source, account, first_day, last_day, started_at DESC);
CREATE INDEX extraction_by_start ON ops.extraction (started_at);
CREATE INDEX extraction_under_way ON ops.extraction (started_at) WHERE outcome = 'started';
CREATE INDEX extraction_failed ON ops.extraction (source, account, last_day) WHERE outcome = 'failed';
COMMENT ON TABLE ops.extraction IS 'One row for each window asked of a vendor. Source: the pipeline.';
COMMENT ON COLUMN ops.extraction.extraction_id IS 'Identity of the extraction.';
COMMENT ON COLUMN ops.extraction.source IS 'Source asked: calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN ops.extraction.account IS 'Label of the vendor account asked (site, account label or company).';
COMMENT ON COLUMN ops.extraction.first_day IS 'First day of the window, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.extraction.last_day IS 'Last day of the window, included.';
COMMENT ON COLUMN ops.extraction.run_id IS 'Dagster run that asked, where one did.';
COMMENT ON COLUMN ops.extraction.requests IS 'HTTP requests sent, retries and sign-ins included.';
COMMENT ON COLUMN ops.extraction.points IS 'API points counted for it (calls that succeeded or whose outcome is unknown).';
COMMENT ON COLUMN ops.extraction.pages IS 'Pages of the complete answer.';
COMMENT ON COLUMN ops.extraction.vendor_total IS 'The vendor''s own count of records in the window; NULL where it gives none.';
COMMENT ON COLUMN ops.extraction.started_at IS 'When the first request was about to be sent, UTC instant by the server''s clock.';
COMMENT ON COLUMN ops.extraction.finished_at IS 'When it was proved complete or given up, UTC instant.';
COMMENT ON COLUMN ops.extraction.outcome IS 'started, complete (proved whole), failed, split (too many rows for one window: asked again in parts), or abandoned (its process died).';
COMMENT ON COLUMN ops.extraction.failure IS 'Why it failed, without personal data or secrets.';
COMMENT ON COLUMN ops.extraction.notes IS 'What the client noted: restarts, proofs, warnings.';
COMMENT ON COLUMN ops.extraction.code_version IS 'Version of the code that asked.';
COMMENT ON COLUMN ops.extraction.failure_kind IS 'Name of the error that a failed extraction ended with, as in errors.py; NULL: it did not fail.';
COMMENT ON COLUMN ops.extraction.reduced_before IS 'Days before this one were taken out of its stored responses because of their age; NULL: none was.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.extraction TO warehouse_loader;

CREATE TABLE raw.response (
    extraction_id bigint NOT NULL REFERENCES ops.extraction ON DELETE CASCADE,
    attempt smallint NOT NULL,
    sequence integer NOT NULL,
    request json NOT NULL,
    asked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    status smallint NOT NULL,
    content_type text NOT NULL,
    body_bytes bigint NOT NULL,
    body_sha256 bytea NOT NULL,
    body bytea NOT NULL,
    redacted_at timestamptz,
    PRIMARY KEY (extraction_id, attempt, sequence)
);
-- The body is zstd-compressed before it is sent: compressing it once more costs time and saves nothing.
ALTER TABLE raw.response ALTER COLUMN body SET STORAGE EXTERNAL;
COMMENT ON TABLE raw.response IS 'Every vendor answer as received, before it is parsed. Holds personal data (phones, texts). Source: the vendors'' APIs.';
COMMENT ON COLUMN raw.response.extraction_id IS 'The extraction that received it.';
COMMENT ON COLUMN raw.response.attempt IS 'From 1; a window whose pages contradicted each other was asked again in a later attempt. The highest one is the complete one.';
COMMENT ON COLUMN raw.response.sequence IS 'Order within the window: the page number, or the day''s place in the window; from 1.';
COMMENT ON COLUMN raw.response.request IS 'Method, path and parameters of the request; never a credential.';
COMMENT ON COLUMN raw.response.asked_at IS 'When the request was sent, UTC instant by the client''s clock.';
COMMENT ON COLUMN raw.response.received_at IS 'When the answer had arrived whole, UTC instant by the client''s clock.';
COMMENT ON COLUMN raw.response.status IS 'HTTP status.';
COMMENT ON COLUMN raw.response.content_type IS 'Content-Type header as received.';
COMMENT ON COLUMN raw.response.body_bytes IS 'Size of the body as received (after HTTP content decoding), bytes.';
COMMENT ON COLUMN raw.response.body_sha256 IS 'SHA-256 of the body as received.';
COMMENT ON COLUMN raw.response.body IS 'The body, compressed with zstd.';
COMMENT ON COLUMN raw.response.redacted_at IS 'When personal data was erased from it on purpose; NULL: as received (suppressed numbers left out).';
GRANT SELECT, INSERT, UPDATE, DELETE ON raw.response TO warehouse_loader;

CREATE TABLE ops.load_receipt (
    receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extraction_id bigint NOT NULL,
    source text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    run_id text,
    is_replay boolean NOT NULL,
    rows_received bigint NOT NULL,
    rows_inserted bigint NOT NULL,
    rows_updated bigint NOT NULL,
    rows_deleted bigint NOT NULL,
    rows_unchanged bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    rows_final bigint,
    checksum text NOT NULL,
    observed_at timestamptz NOT NULL,
    code_version text NOT NULL,
    notes json,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz
);
CREATE INDEX load_receipt_by_day ON ops.load_receipt (source, account, day, receipt_id DESC);
CREATE INDEX load_receipt_by_time ON ops.load_receipt (loaded_at);
CREATE INDEX load_receipt_unreported ON ops.load_receipt (source, day)
    WHERE reported_at IS NULL AND run_id IS NOT NULL;
COMMENT ON TABLE ops.load_receipt IS 'One row for each source, account, day and load: what the load found and did. Source: the pipeline.';
COMMENT ON COLUMN ops.load_receipt.receipt_id IS 'Identity of the receipt; later loads have higher ones.';
COMMENT ON COLUMN ops.load_receipt.extraction_id IS 'The extraction whose responses were loaded (it may be pruned before its receipt).';
COMMENT ON COLUMN ops.load_receipt.source IS 'Source loaded.';
COMMENT ON COLUMN ops.load_receipt.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.load_receipt.day IS 'Day loaded, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.load_receipt.run_id IS 'Dagster run that loaded, where one did.';
COMMENT ON COLUMN ops.load_receipt.is_replay IS 'Whether the rows were rebuilt from stored responses, without a vendor call.';
COMMENT ON COLUMN ops.load_receipt.rows_received IS 'Records of the day in the answers, rejected ones included.';
COMMENT ON COLUMN ops.load_receipt.rows_inserted IS 'Rows that were new.';
COMMENT ON COLUMN ops.load_receipt.rows_updated IS 'Rows whose columns changed.';
COMMENT ON COLUMN ops.load_receipt.rows_deleted IS 'Rows that the vendor no longer answers with.';
COMMENT ON COLUMN ops.load_receipt.rows_unchanged IS 'Rows left untouched.';
COMMENT ON COLUMN ops.load_receipt.rows_rejected IS 'Records of the day that could not be loaded; see ops.rejected_record.';
COMMENT ON COLUMN ops.load_receipt.rows_final IS 'Rows whose state will not change any more; NULL where the source has no such notion.';
COMMENT ON COLUMN ops.load_receipt.checksum IS 'Order-independent checksum of the day''s rows; equal rows give equal checksums.';
COMMENT ON COLUMN ops.load_receipt.observed_at IS 'When the vendor was asked (start of the extraction), UTC instant.';
COMMENT ON COLUMN ops.load_receipt.code_version IS 'Version of the code that parsed and loaded.';
COMMENT ON COLUMN ops.load_receipt.notes IS 'Counts of what was noticed on the way: replaced characters, ambiguous hours, unseen statuses, moved purchases.';
COMMENT ON COLUMN ops.load_receipt.loaded_at IS 'When the load''s transaction began, UTC instant.';
COMMENT ON COLUMN ops.load_receipt.reported_at IS 'When Dagster was told of the load, or of a later one of the day, UTC instant; NULL: not yet (the next run of the source does it once the day is loaded of every account), or no run loaded it.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.load_receipt TO warehouse_loader;

CREATE TABLE ops.day_state (
    source text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    receipt_id bigint NOT NULL,
    extraction_id bigint NOT NULL,
    observed_at timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL,
    rows bigint NOT NULL,
    rows_final bigint,
    checksum text NOT NULL,
    settled boolean NOT NULL DEFAULT false,
    held text,
    reduced_at timestamptz,
    held_kinds text[],
    held_extraction_id bigint,
    held_at timestamptz,
    held_figures json,
    time_zone text,
    PRIMARY KEY (source, account, day)
);
COMMENT ON TABLE ops.day_state IS 'What stands in the warehouse for each source, account and day: one row a loaded day. Source: the pipeline.';
COMMENT ON COLUMN ops.day_state.source IS 'Source loaded.';
COMMENT ON COLUMN ops.day_state.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.day_state.day IS 'Day, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.day_state.receipt_id IS 'The latest receipt.';
COMMENT ON COLUMN ops.day_state.extraction_id IS 'The extraction whose rows stand; what an extraction of a lower number answered steps back.';
COMMENT ON COLUMN ops.day_state.observed_at IS 'When the vendor was asked for what stands, UTC instant. It orders nothing: extraction_id does.';
COMMENT ON COLUMN ops.day_state.loaded_at IS 'When it was loaded, UTC instant.';
COMMENT ON COLUMN ops.day_state.rows IS 'Rows that stand for the day.';
COMMENT ON COLUMN ops.day_state.rows_final IS 'How many of them will not change any more; NULL where the source has no such notion.';
COMMENT ON COLUMN ops.day_state.checksum IS 'Checksum of the rows that stand.';
COMMENT ON COLUMN ops.day_state.settled IS 'Whether the day is not asked for again: read at least 48 hours after its end, and final or old enough.';
COMMENT ON COLUMN ops.day_state.held IS 'Why a newer answer was held back, in words that go on after "it": it would lose too many rows, or can no longer be read; NULL: none is.';
COMMENT ON COLUMN ops.day_state.reduced_at IS 'When the day''s numbers and texts were taken out because of its age (PII_RETENTION_DAYS), UTC instant; NULL: not yet, or it has none.';
COMMENT ON COLUMN ops.day_state.held_kinds IS 'The options that take the held answer: shrink (--accept-shrink), rejects (--accept-rejects). NULL: none is held, or one from before this column was (shrink).';
COMMENT ON COLUMN ops.day_state.held_extraction_id IS 'The extraction whose answer is held back. NULL: none is.';
COMMENT ON COLUMN ops.day_state.held_at IS 'When it was last held back, UTC instant. NULL: none is.';
COMMENT ON COLUMN ops.day_state.held_figures IS 'What the held answer would change: an object of figures (rows, values of a column, sums, rejects by reason), each a list of what stands and what would stand. Counts alone, no personal data. NULL: none is held.';
COMMENT ON COLUMN ops.day_state.time_zone IS 'Time zone (tz database name) whose calendar day it was when it was loaded; NULL: not known.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.day_state TO warehouse_loader;

CREATE TABLE ops.rejected_record (
    source text NOT NULL,
    account text NOT NULL,
    record_sha256 bytea NOT NULL,
    reason text NOT NULL,
    day date,
    original text NOT NULL,
    times_in_window integer NOT NULL DEFAULT 1,
    first_extraction_id bigint NOT NULL,
    last_extraction_id bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    redacted_at timestamptz,
    PRIMARY KEY (source, account, record_sha256, reason)
);
CREATE INDEX rejected_record_by_day ON ops.rejected_record (source, account, day);
COMMENT ON TABLE ops.rejected_record IS 'Records that could not be loaded, each once however often it is answered. Holds personal data. Source: the vendors'' APIs.';
COMMENT ON COLUMN ops.rejected_record.source IS 'Source that answered with it.';
COMMENT ON COLUMN ops.rejected_record.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.rejected_record.record_sha256 IS 'SHA-256 of the record as received: its identity.';
COMMENT ON COLUMN ops.rejected_record.reason IS 'Why it could not be loaded.';
COMMENT ON COLUMN ops.rejected_record.day IS 'Day of the record in the account''s time zone, or of the window where the record has none; NULL where not known.';
COMMENT ON COLUMN ops.rejected_record.original IS 'The record as received; characters that Postgres cannot store are replaced.';
COMMENT ON COLUMN ops.rejected_record.times_in_window IS 'How often the record stood in the last window that had it.';
COMMENT ON COLUMN ops.rejected_record.first_extraction_id IS 'Extraction that saw it first.';
COMMENT ON COLUMN ops.rejected_record.last_extraction_id IS 'Extraction that saw it last.';
COMMENT ON COLUMN ops.rejected_record.first_seen_at IS 'When it was first rejected, UTC instant.';
COMMENT ON COLUMN ops.rejected_record.last_seen_at IS 'When it was last rejected, UTC instant.';
COMMENT ON COLUMN ops.rejected_record.resolved_at IS 'When a later load of its day no longer rejected it, UTC instant; NULL: it still is.';
COMMENT ON COLUMN ops.rejected_record.redacted_at IS 'When its original was erased or reduced on purpose, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.rejected_record TO warehouse_loader;

RESET ROLE;
