-- Personal data: with which key pseudonyms are made, who was erased, which pseudonyms change, who did by
-- hand what changes or hands out data; and where this database stands, by which a restored dump is known.

-- Everybody may call pg_control_system() unless an administrator took that away.
DO $$
BEGIN
    IF has_function_privilege('warehouse_owner', 'pg_control_system()', 'EXECUTE') THEN
        RETURN;
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT EXECUTE ON FUNCTION pg_control_system() TO warehouse_owner;
    ELSE
        RAISE NOTICE 'warehouse_owner may not call pg_control_system(): a dump restored on another server is known less surely.';
    END IF;
END
$$;

SET ROLE warehouse_owner;

CREATE TABLE ops.pii_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    next_fingerprint text
);
COMMENT ON TABLE ops.pii_key IS 'Which PII_HASH_KEY the pseudonyms were computed with: its fingerprint, never the key.';
COMMENT ON COLUMN ops.pii_key.only_row IS 'Always true: there is one key.';
COMMENT ON COLUMN ops.pii_key.fingerprint IS '16 hexadecimal digits that tell one key from another.';
COMMENT ON COLUMN ops.pii_key.since IS 'When it was first used, UTC instant.';
COMMENT ON COLUMN ops.pii_key.next_fingerprint IS 'Fingerprint of the key that pseudonyms are being recomputed with; loads are refused meanwhile. NULL: no rekey is under way.';
GRANT SELECT, INSERT, UPDATE ON ops.pii_key TO warehouse_loader;

CREATE TABLE ops.privacy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch integer NOT NULL DEFAULT 1,
    sealed_key bytea,
    warehouse_id uuid NOT NULL,
    erasures bigint NOT NULL DEFAULT 0
);
INSERT INTO ops.privacy (warehouse_id) VALUES (gen_random_uuid());
COMMENT ON TABLE ops.privacy IS 'The state of privacy that loads go by; one row. Source: the pipeline.';
COMMENT ON COLUMN ops.privacy.only_row IS 'Always true.';
COMMENT ON COLUMN ops.privacy.epoch IS 'Counts changes that loads must know of. A load holds a shared advisory lock (class 1347373391) on the epoch it began in; a change waits for the loads of earlier ones.';
COMMENT ON COLUMN ops.privacy.sealed_key IS 'Key of the suppression list and of reduced identities, encrypted under PII_HASH_KEY, without which it says nothing; NULL: not made yet.';
COMMENT ON COLUMN ops.privacy.warehouse_id IS 'Tells this warehouse, its copies and its restored dumps from other warehouses.';
COMMENT ON COLUMN ops.privacy.erasures IS 'Number of the newest erasure whose people stand on the suppression list; only grows. A copy with a lower number than a home or an exported list knows is from before that erasure.';
GRANT SELECT, UPDATE ON ops.privacy TO warehouse_loader;

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
    code_version text NOT NULL,
    act_id bigint REFERENCES ops.manual_act
);
COMMENT ON TABLE ops.erasure IS 'One row for each `warehouse forget`: how much was erased, not whose. Source: the command line.';
COMMENT ON COLUMN ops.erasure.erasure_id IS 'Identity of the erasure.';
COMMENT ON COLUMN ops.erasure.requested_at IS 'When it was asked for, UTC instant.';
COMMENT ON COLUMN ops.erasure.finished_at IS 'When nothing was left to erase and the marts were counted afresh, UTC instant; NULL: it was not finished: `warehouse forget --again` finishes it.';
COMMENT ON COLUMN ops.erasure.numbers IS 'How many numbers were given.';
COMMENT ON COLUMN ops.erasure.rows_erased IS 'Rows of schema warehouse that were rewritten.';
COMMENT ON COLUMN ops.erasure.responses IS 'Stored responses that were rewritten.';
COMMENT ON COLUMN ops.erasure.rejects IS 'Rejected records that were rewritten.';
COMMENT ON COLUMN ops.erasure.days IS 'Days, by account, whose rows were rewritten.';
COMMENT ON COLUMN ops.erasure.key_fingerprint IS 'Fingerprint of the PII_HASH_KEY at that time.';
COMMENT ON COLUMN ops.erasure.code_version IS 'Version of the code that erased.';
COMMENT ON COLUMN ops.erasure.act_id IS 'Who asked for it (ops.manual_act); NULL: before that was noted.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.erasure TO warehouse_loader;

CREATE TABLE ops.suppressed_number (
    number_hash bytea PRIMARY KEY,
    tail_hash bytea,
    tail_length smallint,
    erasure_id bigint NOT NULL REFERENCES ops.erasure,
    suppressed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ops.suppressed_number IS 'Numbers that were erased, as keyed hashes: taken out of every later answer before it is stored. Source: the command line.';
COMMENT ON COLUMN ops.suppressed_number.number_hash IS 'Keyed BLAKE2b of the number in E.164, or of its digits where it has no such form.';
COMMENT ON COLUMN ops.suppressed_number.tail_hash IS 'Keyed BLAKE2b of its digits without the country''s code, by which it is found in texts however it is written; NULL: too short to be looked for there.';
COMMENT ON COLUMN ops.suppressed_number.tail_length IS 'How many digits that are.';
COMMENT ON COLUMN ops.suppressed_number.erasure_id IS 'The erasure that it was given to first.';
COMMENT ON COLUMN ops.suppressed_number.suppressed_at IS 'Since when, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.suppressed_number TO warehouse_loader;

CREATE TABLE ops.suppressed_recipient (
    recipient_hash bytea PRIMARY KEY,
    number_hash bytea NOT NULL REFERENCES ops.suppressed_number
);
COMMENT ON TABLE ops.suppressed_recipient IS 'Pseudonyms that erased people had, as keyed hashes: by them their reduced rows are found, which have no number, where an older copy of the warehouse is restored. Source: the command line.';
COMMENT ON COLUMN ops.suppressed_recipient.recipient_hash IS 'Keyed BLAKE2b of the pseudonym under the PII_HASH_KEY of the time, as the number may have been read.';
COMMENT ON COLUMN ops.suppressed_recipient.number_hash IS 'The number that it stood for.';
GRANT SELECT, INSERT ON ops.suppressed_recipient TO warehouse_loader;

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
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.rekeyed_day TO warehouse_loader;

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
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.rekeyed_pseudonym TO warehouse_loader;

CREATE TABLE ops.suppression_applied (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    written_by bigint NOT NULL,
    timeline integer,
    applied_at timestamptz NOT NULL DEFAULT now(),
    system_identifier bigint,
    database_oid oid
);
COMMENT ON TABLE ops.suppression_applied IS 'That all rows are without the numbers of the suppression list; one row, or none. It is void on another server or in another database than it names, and where another transaction than it names wrote it: after a restore. Source: the pipeline.';
COMMENT ON COLUMN ops.suppression_applied.only_row IS 'Always true.';
COMMENT ON COLUMN ops.suppression_applied.written_by IS 'The transaction that wrote the row (its xmin).';
COMMENT ON COLUMN ops.suppression_applied.timeline IS 'The server''s timeline at that time; NULL: it does not tell.';
COMMENT ON COLUMN ops.suppression_applied.applied_at IS 'When this copy of the warehouse began, or the list was last applied as a whole (`warehouse forget --again`), UTC instant.';
COMMENT ON COLUMN ops.suppression_applied.system_identifier IS 'The server that this is about, as pg_control_system() names it; NULL: it does not tell.';
COMMENT ON COLUMN ops.suppression_applied.database_oid IS 'The database of that server that this is about.';
GRANT SELECT ON ops.suppression_applied TO warehouse_loader;

SELECT ops.suppression_was_applied();

RESET ROLE;
