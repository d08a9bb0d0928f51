CREATE OR REPLACE FUNCTION mart.calltouch_messaging(of_account text, of_days date[])
RETURNS SETOF mart.messaging_day
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.day, 'calltouch', of_account, 'sms', coalesce(sum(s.messages), 0), NULL::bigint,
        coalesce(sum(s.messages) FILTER (WHERE s.outcome = 'delivered'), 0),
        coalesce(sum(s.messages) FILTER (WHERE s.outcome = 'failed'), 0),
        coalesce(sum(s.messages) FILTER (WHERE s.outcome = 'pending'), 0),
        coalesce(sum(s.messages) FILTER (WHERE s.outcome NOT IN ('delivered', 'failed', 'pending')), 0),
        NULL::bigint, NULL::bigint, NULL::bigint
    FROM unnest(of_days) AS d (day)
    LEFT JOIN mart.sms_day s ON s.sent_on = d.day AND s.site_id = of_account::bigint
    GROUP BY d.day;
END;
COMMENT ON FUNCTION mart.calltouch_messaging IS 'What Calltouch reports for these days; an empty day is a row of zeros.';
