-- To take part, a source needs a function mart.<source>_messaging and its rows in mart.source_channel.
CREATE OR REPLACE FUNCTION mart.refresh_messaging(of_source text, of_account text, of_days date[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    says text := format('mart.%I', of_source || '_messaging');
    of_vendor text := (SELECT min(c.vendor) FROM mart.source_channel c WHERE c.source = of_source);
    fresh mart.messaging_day[];
BEGIN
    IF to_regprocedure(says || '(text,date[])') IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT array_agg(m) FROM %s($1, $2) m', says)
        INTO fresh USING of_account, of_days;
    DELETE FROM mart.messaging_day old USING (
        SELECT * FROM mart.messaging_day
        WHERE vendor = of_vendor AND account = of_account AND day = ANY (of_days)
        EXCEPT SELECT * FROM unnest(fresh)
    ) gone
    WHERE old.vendor = of_vendor AND old.account = of_account AND old.day = gone.day
      AND old.channel = gone.channel;
    INSERT INTO mart.messaging_day
    SELECT * FROM unnest(fresh)
    EXCEPT SELECT * FROM mart.messaging_day
    WHERE vendor = of_vendor AND account = of_account AND day = ANY (of_days)
    ORDER BY 1, 2, 3, 4;
END
$$;
COMMENT ON FUNCTION mart.refresh_messaging IS 'Make mart.messaging_day of these loaded days equal to what the vendor reported.';
GRANT EXECUTE ON FUNCTION mart.refresh_messaging TO warehouse_loader;
