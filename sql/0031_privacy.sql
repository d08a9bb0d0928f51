-- Erasure and reduction of personal data: whose numbers are suppressed, what was erased, which days
-- are reduced, and the lock-step between these changes and loads that are under way.

SET ROLE warehouse_owner;

CREATE TABLE ops.privacy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch integer NOT NULL DEFAULT 1,
    sealed_key bytea
);
INSERT INTO ops.privacy DEFAULT VALUES;
COMMENT ON TABLE ops.privacy IS 'The state of privacy that loads go by; one row. Source: the pipeline.';
COMMENT ON COLUMN ops.privacy.only_row IS 'Always true.';
COMMENT ON COLUMN ops.privacy.epoch IS 'Counts changes that loads must know of. A load holds a shared advisory lock (class 1347373391) on the epoch it began in; a change waits for the loads of earlier ones.';
COMMENT ON COLUMN ops.privacy.sealed_key IS 'Key of the suppression list and of reduced identities, encrypted under PII_HASH_KEY, without which it says nothing; NULL: not made yet.';

CREATE TABLE ops.erasure (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    numbers integer NOT NULL,
    rows_erased bigint NOT NULL DEFAULT 0,
    responses bigint NOT NULL DEFAULT 0,
    rejects bigint NOT NULL DEFAULT 0,
    days integer NOT NULL DEFAULT 0,
    key_fingerprint text NOT NULL,
    code_version text NOT NULL
);
COMMENT ON TABLE ops.erasure IS 'One row for each `warehouse forget`: how much was erased, not whose. Source: the command line.';
COMMENT ON COLUMN ops.erasure.erasure_id IS 'Identity of the erasure.';
COMMENT ON COLUMN ops.erasure.requested_at IS 'When it was asked for, UTC instant.';
COMMENT ON COLUMN ops.erasure.finished_at IS 'When nothing was left to erase, UTC instant; NULL: it was not finished; the same numbers have to be given again.';
COMMENT ON COLUMN ops.erasure.numbers IS 'How many numbers were given.';
COMMENT ON COLUMN ops.erasure.rows_erased IS 'Rows of schema warehouse that were rewritten.';
COMMENT ON COLUMN ops.erasure.responses IS 'Stored responses that were rewritten.';
COMMENT ON COLUMN ops.erasure.rejects IS 'Rejected records that were rewritten.';
COMMENT ON COLUMN ops.erasure.days IS 'Days, by account, whose rows were rewritten.';
COMMENT ON COLUMN ops.erasure.key_fingerprint IS 'Fingerprint of the PII_HASH_KEY at that time.';
COMMENT ON COLUMN ops.erasure.code_version IS 'Version of the code that erased.';

CREATE TABLE ops.suppressed_number (
    number_hash bytea PRIMARY KEY,
    tail_hash bytea,
    tail_length smallint,
    erasure_id bigint NOT NULL REFERENCES ops.erasure,
    suppressed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ops.suppressed_number IS 'Numbers that were erased, as keyed hashes: taken out of every later answer before it is stored. Source: the command line.';
COMMENT ON COLUMN ops.suppressed_number.number_hash IS 'Keyed BLAKE2b of the number in E.164, or of its digits where it has no such form.';
COMMENT ON COLUMN ops.suppressed_number.tail_hash IS 'Keyed BLAKE2b of its last ten digits, by which it is found in texts; NULL: too short to be looked for there.';
COMMENT ON COLUMN ops.suppressed_number.tail_length IS 'How many digits that are.';
COMMENT ON COLUMN ops.suppressed_number.erasure_id IS 'The erasure that it was given to first.';
COMMENT ON COLUMN ops.suppressed_number.suppressed_at IS 'Since when, UTC instant.';

ALTER TABLE ops.day_state ADD COLUMN reduced_at timestamptz;
COMMENT ON COLUMN ops.day_state.reduced_at IS 'When the day''s numbers and texts were taken out because of its age (PII_RETENTION_DAYS), UTC instant; NULL: not yet, or it has none.';
ALTER TABLE ops.extraction ADD COLUMN reduced_before date;
COMMENT ON COLUMN ops.extraction.reduced_before IS 'Days before this one were taken out of its stored responses because of their age; NULL: none was.';
ALTER TABLE ops.pii_key ADD COLUMN next_fingerprint text;
COMMENT ON COLUMN ops.pii_key.next_fingerprint IS 'Fingerprint of the key that pseudonyms are being recomputed with; loads are refused meanwhile. NULL: no rekey is under way.';

CREATE TABLE ops.rekeyed_day (
    source text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (source, account, day)
);
COMMENT ON TABLE ops.rekeyed_day IS 'Days whose pseudonyms are recomputed already, while `warehouse rekey` is under way; empty otherwise.';
COMMENT ON COLUMN ops.rekeyed_day.source IS 'Source.';
COMMENT ON COLUMN ops.rekeyed_day.account IS 'Label of the vendor account.';
COMMENT ON COLUMN ops.rekeyed_day.day IS 'Day.';

CREATE TABLE ops.rekeyed_pseudonym (
    kind text NOT NULL CHECK (kind IN ('recipient', 'template')),
    old uuid NOT NULL,
    new uuid NOT NULL,
    PRIMARY KEY (kind, old)
);
COMMENT ON TABLE ops.rekeyed_pseudonym IS 'Old and new pseudonyms, while `warehouse rekey` is under way; emptied at its end. Pseudonymous personal data.';
COMMENT ON COLUMN ops.rekeyed_pseudonym.kind IS 'recipient or template.';
COMMENT ON COLUMN ops.rekeyed_pseudonym.old IS 'Pseudonym under the old key.';
COMMENT ON COLUMN ops.rekeyed_pseudonym.new IS 'Pseudonym under the new key.';

-- What the marts keep of pseudonyms follows.
CREATE FUNCTION mart.forget_recipients(recipients uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.rare_template r
    SET recipients = ARRAY(
        SELECT t FROM unnest(r.recipients) t
        WHERE t <> ALL (ARRAY(SELECT mart.tail_bits(p) FROM unnest(forget_recipients.recipients) p)))
    WHERE r.recipients && ARRAY(SELECT mart.tail_bits(p) FROM unnest(forget_recipients.recipients) p);
END;
COMMENT ON FUNCTION mart.forget_recipients IS 'Take these recipients out of the tallies of rare templates.';

-- The tallies of rare templates begin anew: their recipients are pseudonyms under the old key.
CREATE FUNCTION mart.rekey_templates() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE mart.template t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.template_label t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_day t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    DELETE FROM mart.rare_template;
END
$$;
COMMENT ON FUNCTION mart.rekey_templates IS 'Give templates their new pseudonyms, as ops.rekeyed_pseudonym has them.';

REVOKE ALL ON FUNCTION mart.forget_recipients(uuid[]), mart.rekey_templates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mart.forget_recipients(uuid[]), mart.rekey_templates() TO warehouse_loader;
GRANT SELECT, UPDATE ON ops.privacy TO warehouse_loader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.erasure, ops.suppressed_number, ops.rekeyed_day,
    ops.rekeyed_pseudonym TO warehouse_loader;

RESET ROLE;
