CREATE OR REPLACE FUNCTION mart.observe_unchanged(of_site bigint, of_days date[], observed date) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.sms_maturity
    SELECT d.sent_on, observed, of_site, d.outcome, sum(d.messages), 0, 0
    FROM mart.sms_day d
    WHERE d.site_id = of_site AND d.sent_on = ANY (of_days)
      AND NOT EXISTS (
          SELECT FROM mart.sms_maturity m
          WHERE m.sent_on = d.sent_on AND m.observed_on = observed AND m.site_id = of_site)
    GROUP BY d.sent_on, d.outcome;
END;
COMMENT ON FUNCTION mart.observe_unchanged IS 'Record that these days were requested again and had not changed.';
GRANT EXECUTE ON FUNCTION mart.observe_unchanged TO warehouse_loader;
