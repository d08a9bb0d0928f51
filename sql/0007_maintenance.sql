-- What the loader may do beyond reading and writing rows.

SET ROLE warehouse_owner;

CREATE FUNCTION ops.analyze_months(parent regclass, months date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT i.inhrelid::regclass
        FROM pg_inherits i
        JOIN unnest(months) AS m(month) ON i.inhrelid::regclass::text LIKE '%\_' || to_char(m.month, 'YYYY\_MM')
        WHERE i.inhparent = parent
    LOOP
        EXECUTE format('ANALYZE %s', partition);
    END LOOP;
END
$$;
COMMENT ON FUNCTION ops.analyze_months(regclass, date[]) IS 'Renews the planner''s statistics of a table''s partitions for these months.';
REVOKE ALL ON FUNCTION ops.analyze_months(regclass, date[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.analyze_months(regclass, date[]) TO warehouse_loader;

CREATE TABLE ops.pii_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ops.pii_key IS 'Which PII_HASH_KEY the pseudonyms were computed with: its fingerprint, never the key.';
COMMENT ON COLUMN ops.pii_key.only_row IS 'Always true: there is one key.';
COMMENT ON COLUMN ops.pii_key.fingerprint IS '16 hexadecimal digits that tell one key from another.';
COMMENT ON COLUMN ops.pii_key.since IS 'When it was first used, UTC instant.';
GRANT SELECT, INSERT, UPDATE ON ops.pii_key TO warehouse_loader;

RESET ROLE;
