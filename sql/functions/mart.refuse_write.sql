-- A view of two halves takes no writes anyway, but would say so before it says who may not write.
CREATE OR REPLACE FUNCTION mart.refuse_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE insufficient_privilege USING
        MESSAGE = format('%I.%I is for reading', tg_table_schema, tg_table_name);
END
$$;
COMMENT ON FUNCTION mart.refuse_write IS 'An error: nobody writes to a view.';
