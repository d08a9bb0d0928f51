CREATE OR REPLACE FUNCTION ops.partition_name(parent regclass, month date) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT format('%I.%I', n.nspname, c.relname || to_char(month, '"_"YYYY"_"MM'))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = parent
);
COMMENT ON FUNCTION ops.partition_name IS 'The name of a table''s partition for a month: warehouse.calltouch_sms_2024_04.';
GRANT EXECUTE ON FUNCTION ops.partition_name TO warehouse_loader;
