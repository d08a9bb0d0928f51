CREATE OR REPLACE FUNCTION mart.write_sms_day(of_site bigint, of_days date[], cells mart.sms_cell[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_day[];
BEGIN
    SELECT array_agg((sent_on, of_site, template_id, country, outcome, reason, messages, segments,
        repeats)::mart.sms_day) INTO fresh
    FROM (
        SELECT c.sent_on, coalesce(p.same_as, p.template_id, mart.rare_id()) AS template_id,
            coalesce(c.country, 'unknown') AS country, c.outcome,
            coalesce(c.reason, 'none') AS reason, sum(c.messages) AS messages,
            sum(c.segments) AS segments, sum(c.repeats) AS repeats
        FROM unnest(cells) c
        LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
        GROUP BY 1, 2, 3, 4, 5
    ) counted;
    DELETE FROM mart.sms_day old USING (
        SELECT * FROM mart.sms_day WHERE site_id = of_site AND sent_on = ANY (of_days)
        EXCEPT SELECT * FROM unnest(fresh)
    ) gone
    WHERE old.sent_on = gone.sent_on AND old.site_id = of_site
      AND old.template_id = gone.template_id AND old.country = gone.country
      AND old.outcome = gone.outcome AND old.reason = gone.reason;
    INSERT INTO mart.sms_day
    SELECT * FROM unnest(fresh)
    EXCEPT SELECT * FROM mart.sms_day WHERE site_id = of_site AND sent_on = ANY (of_days)
    ORDER BY 1, 2, 3, 4, 5, 6;
END
$$;
COMMENT ON FUNCTION mart.write_sms_day IS 'Make mart.sms_day of these days equal to the cells.';
