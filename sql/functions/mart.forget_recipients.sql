CREATE OR REPLACE FUNCTION mart.forget_recipients(recipients uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.rare_template r
    SET recipients = ARRAY(
        SELECT t FROM unnest(r.recipients) t
        WHERE t <> ALL (ARRAY(SELECT mart.tail_bits(p) FROM unnest(forget_recipients.recipients) p)))
    WHERE r.recipients && ARRAY(SELECT mart.tail_bits(p) FROM unnest(forget_recipients.recipients) p);
END;
COMMENT ON FUNCTION mart.forget_recipients IS 'Take these recipients out of the tallies of rare templates.';
GRANT EXECUTE ON FUNCTION mart.forget_recipients TO warehouse_loader;
