-- A view of two halves accepts no writes anyway, but Postgres would say so before it checks privileges.
CREATE OR REPLACE FUNCTION mart.refuse_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE insufficient_privilege USING
        MESSAGE = format('%I.%I is for reading', tg_table_schema, tg_table_name);
END
$$;
COMMENT ON FUNCTION mart.refuse_write IS 'Raises an error: views of bi accept no writes.';
