-- CREATE TABLE … PARTITION OF waits for readers and makes them wait; ATTACH does neither. It takes
-- SHARE UPDATE EXCLUSIVE on the parent until the transaction ends, so call it in a transaction of its own.
CREATE OR REPLACE FUNCTION ops.ensure_month(parent regclass, month date) RETURNS regclass
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first     date := date_trunc('month', month);
    next      date := first + interval '1 month';
    name      text := ops.partition_name(parent, first);
    partition regclass := to_regclass(name);
    storage   text;
BEGIN
    IF partition IS NULL THEN
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', parent);
        partition := to_regclass(name);
    END IF;
    IF partition IS NOT NULL THEN
        IF pg_partition_root(partition) IS DISTINCT FROM parent THEN
            RAISE duplicate_table USING MESSAGE = format('%s exists, and is no partition of %s', name, parent);
        END IF;
        RETURN partition;
    END IF;

    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)', name, parent);
    partition := to_regclass(name);
    SELECT s.parameters INTO storage FROM ops.partition_storage s WHERE s.parent = ensure_month.parent;
    IF storage IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', partition, storage);
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition,
                   format('%s of %s.', to_char(first, 'YYYY-MM'), parent));
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                   parent, partition, first || ' 00:00+00', next || ' 00:00+00');
    RETURN partition;
END
$$;
COMMENT ON FUNCTION ops.ensure_month IS 'Creates the partition of a table for the month of this day, unless it exists. Readers and loaders do not wait; several sessions may call it at once.';
GRANT EXECUTE ON FUNCTION ops.ensure_month TO warehouse_loader;
