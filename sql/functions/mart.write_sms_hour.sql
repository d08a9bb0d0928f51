CREATE OR REPLACE FUNCTION mart.write_sms_hour(
    of_site bigint, of_days date[], in_zone text, cells mart.sms_cell[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_hour[];
    fold_below integer := (SELECT f.below FROM mart.folding f);
BEGIN
    SELECT array_agg((sent_on, of_site, hour, category, outcome, messages)::mart.sms_hour) INTO fresh
    FROM (
        SELECT h.sent_on, CASE WHEN h.of_hour < fold_below THEN -1 ELSE h.hour END AS hour, h.category,
            h.outcome, sum(h.messages) AS messages
        FROM (
            SELECT c.sent_on, extract(hour FROM c.from_instant AT TIME ZONE in_zone) AS hour,
                coalesce(p.category, 'rare') AS category, c.outcome, sum(c.messages) AS messages,
                sum(sum(c.messages)) OVER (PARTITION BY c.sent_on, coalesce(p.category, 'rare'),
                    extract(hour FROM c.from_instant AT TIME ZONE in_zone)) AS of_hour
            FROM unnest(cells) c
            LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
            GROUP BY 1, 2, 3, 4
        ) h
        GROUP BY 1, 2, 3, 4
    ) counted;
    DELETE FROM mart.sms_hour old USING (
        SELECT * FROM mart.sms_hour WHERE site_id = of_site AND sent_on = ANY (of_days)
        EXCEPT SELECT * FROM unnest(fresh)
    ) gone
    WHERE old.sent_on = gone.sent_on AND old.site_id = of_site AND old.hour = gone.hour
      AND old.category = gone.category AND old.outcome = gone.outcome;
    INSERT INTO mart.sms_hour
    SELECT * FROM unnest(fresh)
    EXCEPT SELECT * FROM mart.sms_hour WHERE site_id = of_site AND sent_on = ANY (of_days)
    ORDER BY 1, 2, 3, 4, 5;
END
$$;
COMMENT ON FUNCTION mart.write_sms_hour IS 'Make mart.sms_hour of these days equal to the cells.';
