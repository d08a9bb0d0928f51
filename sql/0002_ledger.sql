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
    CHECK (first_day <= last_day)
);
CREATE INDEX extraction_by_window ON ops.extraction (source, account, first_day, last_day, started_at DESC);
CREATE INDEX extraction_by_start ON ops.extraction (started_at);
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
    loaded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX load_receipt_by_day ON ops.load_receipt (source, account, day, receipt_id DESC);
CREATE INDEX load_receipt_by_time ON ops.load_receipt (loaded_at);
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
    PRIMARY KEY (source, account, day)
);
COMMENT ON TABLE ops.day_state IS 'What stands in the warehouse for each source, account and day: one row a loaded day. Source: the pipeline.';
COMMENT ON COLUMN ops.day_state.source IS 'Source loaded.';
COMMENT ON COLUMN ops.day_state.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.day_state.day IS 'Day, a calendar day of the account''s time zone.';
COMMENT ON COLUMN ops.day_state.receipt_id IS 'The latest receipt.';
COMMENT ON COLUMN ops.day_state.extraction_id IS 'The extraction whose rows stand.';
COMMENT ON COLUMN ops.day_state.observed_at IS 'When the vendor was asked for what stands, UTC instant; a load of an earlier observation steps back.';
COMMENT ON COLUMN ops.day_state.loaded_at IS 'When it was loaded, UTC instant.';
COMMENT ON COLUMN ops.day_state.rows IS 'Rows that stand for the day.';
COMMENT ON COLUMN ops.day_state.rows_final IS 'How many of them will not change any more; NULL where the source has no such notion.';
COMMENT ON COLUMN ops.day_state.checksum IS 'Checksum of the rows that stand.';
COMMENT ON COLUMN ops.day_state.settled IS 'Whether the day is not asked for again: read at least 48 hours after its end, and final or old enough.';
COMMENT ON COLUMN ops.day_state.held IS 'Why a newer answer was held back (it had shrunk suspiciously); NULL: none is.';

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

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.extraction, ops.load_receipt, ops.day_state,
    ops.rejected_record, raw.response TO warehouse_loader;

RESET ROLE;
