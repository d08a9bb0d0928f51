CREATE OR REPLACE FUNCTION mart.trust_messaging(of_account text, of_days date[])
RETURNS SETOF mart.messaging_day
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.day, 'trust', of_account, 'push', t.total, t.sent, t.received, t.failed, t.pending,
        t.unknown, t.pressed, NULL::bigint, t.closed
    FROM unnest(of_days) AS d (day)
    LEFT JOIN warehouse.trust_campaign_statistics t
        ON t.stats_on = d.day AND t.company_id = of_account::bigint AND t.is_daily;
END;
COMMENT ON FUNCTION mart.trust_messaging IS 'What Trust reports for these days; a day that is known only as part of a rolling week has no figures.';
