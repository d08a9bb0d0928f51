CREATE OR REPLACE FUNCTION mart.tellody_activity_messaging(of_account text, of_days date[])
RETURNS SETOF mart.messaging_day
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.activity_on, 'tellody', t.account, c.channel, c.attempted, NULL::bigint, NULL::bigint,
        NULL::bigint, NULL::bigint, NULL::bigint, c.engaged, c.opted_out, NULL::bigint
    FROM warehouse.tellody_activity t,
        LATERAL (VALUES
            ('sms', t.sms_sent, NULL::bigint, NULL::bigint),
            ('email', t.email_sent, NULL, NULL),
            ('unattributed', NULL, t.url_clicks + t.downloads + t.vouchers_viewed, t.optouts)
        ) AS c (channel, attempted, engaged, opted_out)
    WHERE t.account = of_account AND t.activity_on = ANY (of_days);
END;
COMMENT ON FUNCTION mart.tellody_activity_messaging IS 'What Tellody reports for these days: attempts by channel, and reactions that it attributes to no channel.';
