CREATE OR REPLACE FUNCTION mart.write_sms_maturity(
    of_site bigint, of_days date[], observed date, cells mart.sms_cell[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_maturity[];
BEGIN
    SELECT array_agg((sent_on, observed, of_site, outcome, messages, turned_final,
        hours_to_final)::mart.sms_maturity) INTO fresh
    FROM (
        SELECT c.sent_on, c.outcome, sum(c.messages) AS messages,
            sum(c.turned_final) AS turned_final, sum(c.hours_to_final) AS hours_to_final
        FROM unnest(cells) c GROUP BY 1, 2
    ) counted;
    DELETE FROM mart.sms_maturity old USING (
        SELECT * FROM mart.sms_maturity
        WHERE site_id = of_site AND sent_on = ANY (of_days) AND observed_on = observed
        EXCEPT SELECT * FROM unnest(fresh)
    ) gone
    WHERE old.sent_on = gone.sent_on AND old.site_id = of_site AND old.observed_on = observed
      AND old.outcome = gone.outcome;
    INSERT INTO mart.sms_maturity
    SELECT * FROM unnest(fresh)
    EXCEPT SELECT * FROM mart.sms_maturity
    WHERE site_id = of_site AND sent_on = ANY (of_days) AND observed_on = observed
    ORDER BY 1, 2, 3, 4;
END
$$;
COMMENT ON FUNCTION mart.write_sms_maturity IS 'Record how these days stood on the day of asking.';
