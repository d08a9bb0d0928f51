-- A restored dump is known as one, and serves nobody until the suppression list was applied to it.
--
-- The mark is a row that holds the id of the transaction that wrote it. A restore writes the same row
-- in a transaction of its own, so the two differ, on whatever server. A copy of the files (a base
-- backup, a snapshot of the disk) keeps the mark: of that only the timeline may tell, to the doctor.

SET ROLE warehouse_owner;

CREATE TABLE ops.suppressed_recipient (
    recipient_hash bytea PRIMARY KEY,
    number_hash bytea NOT NULL REFERENCES ops.suppressed_number
);
COMMENT ON TABLE ops.suppressed_recipient IS 'Pseudonyms that erased people had, as keyed hashes: by them their reduced rows are found, which have no number, where an older copy of the warehouse is restored. Source: the command line.';
COMMENT ON COLUMN ops.suppressed_recipient.recipient_hash IS 'Keyed BLAKE2b of the pseudonym under the PII_HASH_KEY of the time.';
COMMENT ON COLUMN ops.suppressed_recipient.number_hash IS 'The number that it stood for.';

CREATE TABLE ops.suppression_applied (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    written_by bigint NOT NULL,
    timeline integer,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ops.suppression_applied IS 'That all rows are without the numbers of the suppression list; one row, or none. It is void where another transaction than it names wrote it: after a restore. Source: the pipeline.';
COMMENT ON COLUMN ops.suppression_applied.only_row IS 'Always true.';
COMMENT ON COLUMN ops.suppression_applied.written_by IS 'The transaction that wrote the row (its xmin).';
COMMENT ON COLUMN ops.suppression_applied.timeline IS 'The server''s timeline at that time; NULL: it does not tell.';
COMMENT ON COLUMN ops.suppression_applied.applied_at IS 'When this copy of the warehouse began, or the list was last applied as a whole (`warehouse forget --again`), UTC instant.';

CREATE FUNCTION ops.timeline() RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_function_privilege('pg_control_checkpoint()', 'EXECUTE') THEN
        RETURN (SELECT c.timeline_id FROM pg_control_checkpoint() c);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.timeline() IS 'The server''s timeline, another one after a recovery or a change-over; NULL: it may not be asked.';

CREATE FUNCTION ops.is_restored() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN NOT EXISTS (SELECT FROM ops.suppression_applied a WHERE a.xmin::text::bigint = a.written_by);
COMMENT ON FUNCTION ops.is_restored() IS 'Whether this is a restored dump to which the suppression list was not applied yet.';

CREATE FUNCTION ops.close_restored() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT ops.is_restored() THEN
        RETURN false;
    END IF;
    LOCK TABLE ops.suppression_applied IN SHARE ROW EXCLUSIVE MODE;
    IF has_schema_privilege('warehouse_bi', 'bi', 'USAGE')
       OR has_schema_privilege('warehouse_bi_pii', 'bi_pii', 'USAGE') THEN
        REVOKE USAGE ON SCHEMA bi FROM warehouse_bi;
        REVOKE USAGE ON SCHEMA bi_pii FROM warehouse_bi_pii;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION ops.close_restored() IS 'Closes schemas bi and bi_pii to readers where ops.is_restored(); answers whether it is.';

CREATE FUNCTION ops.suppression_was_applied() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE ops.suppression_applied IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM ops.suppression_applied;
    INSERT INTO ops.suppression_applied (written_by, timeline) VALUES (0, ops.timeline());
    -- Its own xmin, which within a savepoint is not the transaction's id.
    UPDATE ops.suppression_applied SET written_by = xmin::text::bigint;
    GRANT USAGE ON SCHEMA bi TO warehouse_bi;
    GRANT USAGE ON SCHEMA bi_pii TO warehouse_bi_pii;
END
$$;
COMMENT ON FUNCTION ops.suppression_was_applied() IS 'Notes that the suppression list was applied to all rows, and lets readers in.';

REVOKE ALL ON FUNCTION ops.timeline(), ops.is_restored(), ops.close_restored(),
    ops.suppression_was_applied() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.timeline(), ops.is_restored(), ops.close_restored(),
    ops.suppression_was_applied() TO warehouse_loader;
GRANT SELECT, INSERT ON ops.suppressed_recipient TO warehouse_loader;
GRANT SELECT ON ops.suppression_applied TO warehouse_loader;

-- Each migration is a transaction of its own. Where two rows were written by one, a restore wrote
-- them, and this is the dump of an earlier schema.
DO $$
BEGIN
    IF (SELECT count(DISTINCT m.xmin::text) = count(*) FROM ops.migration m) THEN
        PERFORM ops.suppression_was_applied();
    END IF;
END
$$;

RESET ROLE;
