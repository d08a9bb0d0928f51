CREATE OR REPLACE FUNCTION mart.write_sms_template_hour(
    of_site bigint, of_days date[], in_zone text, cells mart.sms_cell[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_template_hour[];
    fold_below integer := (SELECT f.below FROM mart.folding f);
BEGIN
    SELECT array_agg((sent_on, of_site, template_id, hour, messages, delivered,
        failed)::mart.sms_template_hour) INTO fresh
    FROM (
        SELECT h.sent_on, h.template_id, CASE WHEN h.messages < fold_below THEN -1 ELSE h.hour END AS hour,
            sum(h.messages) AS messages, sum(h.delivered) AS delivered, sum(h.failed) AS failed
        FROM (
            SELECT c.sent_on, coalesce(p.same_as, p.template_id, mart.rare_id()) AS template_id,
                extract(hour FROM c.from_instant AT TIME ZONE in_zone) AS hour,
                sum(c.messages) AS messages,
                coalesce(sum(c.messages) FILTER (WHERE c.outcome = 'delivered'), 0) AS delivered,
                coalesce(sum(c.messages) FILTER (WHERE c.outcome = 'failed'), 0) AS failed
            FROM unnest(cells) c
            LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
            GROUP BY 1, 2, 3
        ) h
        GROUP BY 1, 2, 3
    ) counted;
    DELETE FROM mart.sms_template_hour old USING (
        SELECT * FROM mart.sms_template_hour WHERE site_id = of_site AND sent_on = ANY (of_days)
        EXCEPT SELECT * FROM unnest(fresh)
    ) gone
    WHERE old.sent_on = gone.sent_on AND old.site_id = of_site
      AND old.template_id = gone.template_id AND old.hour = gone.hour;
    INSERT INTO mart.sms_template_hour
    SELECT * FROM unnest(fresh)
    EXCEPT SELECT * FROM mart.sms_template_hour WHERE site_id = of_site AND sent_on = ANY (of_days)
    ORDER BY 1, 2, 3, 4;
END
$$;
COMMENT ON FUNCTION mart.write_sms_template_hour IS 'Make mart.sms_template_hour of these days equal to the cells.';
