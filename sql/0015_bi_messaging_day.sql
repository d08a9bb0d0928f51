-- The one fact across vendors: what each vendor can say of a day, and nothing it cannot.
--
-- Grain: vendor, account, day, channel; a row exists exactly where the day was loaded. NULL: the
-- vendor does not report it; 0: it reported none. The view in bi adds the days that were not loaded.

SET ROLE warehouse_owner;

CREATE TABLE mart.messaging_day (
    day date NOT NULL,
    vendor text NOT NULL,
    account text NOT NULL,
    channel text NOT NULL,
    attempted bigint,
    accepted bigint,
    delivered bigint,
    failed bigint,
    pending bigint,
    undetermined bigint,
    engaged bigint,
    opted_out bigint,
    dismissed bigint,
    PRIMARY KEY (day, vendor, account, channel)
);
COMMENT ON TABLE mart.messaging_day IS 'Messages by vendor, account, day and channel, one row for each loaded day. Source: the tables of schema warehouse.';
COMMENT ON COLUMN mart.messaging_day.day IS 'Day in the account''s time zone.';
COMMENT ON COLUMN mart.messaging_day.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN mart.messaging_day.account IS 'Calltouch site, Tellody account label or Trust company.';
COMMENT ON COLUMN mart.messaging_day.channel IS 'sms, email, push or unattributed.';
COMMENT ON COLUMN mart.messaging_day.attempted IS 'Messages that the vendor was told to send.';
COMMENT ON COLUMN mart.messaging_day.accepted IS 'Messages handed over, arrival unknown.';
COMMENT ON COLUMN mart.messaging_day.delivered IS 'Messages that arrived.';
COMMENT ON COLUMN mart.messaging_day.failed IS 'Messages that will not arrive.';
COMMENT ON COLUMN mart.messaging_day.pending IS 'Messages without an end yet, as last told.';
COMMENT ON COLUMN mart.messaging_day.undetermined IS 'Messages whose end the vendor does not know.';
COMMENT ON COLUMN mart.messaging_day.engaged IS 'Events of engagement; not people.';
COMMENT ON COLUMN mart.messaging_day.opted_out IS 'Opt-outs begun.';
COMMENT ON COLUMN mart.messaging_day.dismissed IS 'Messages closed by the reader.';

CREATE TABLE mart.source_channel (
    source text NOT NULL,
    vendor text NOT NULL,
    channel text,
    tells_all_days boolean NOT NULL DEFAULT false,
    UNIQUE NULLS NOT DISTINCT (source, channel)
);
INSERT INTO mart.source_channel VALUES
    ('calltouch', 'calltouch', 'sms', false),
    ('tellody_activity', 'tellody', 'sms', false),
    ('tellody_activity', 'tellody', 'email', false),
    ('tellody_activity', 'tellody', 'unattributed', false),
    ('tellody_purchases', 'tellody', NULL, true),
    ('trust', 'trust', 'push', false);
COMMENT ON TABLE mart.source_channel IS 'What each source reports on.';
COMMENT ON COLUMN mart.source_channel.source IS 'Source, as in ops.day_state.';
COMMENT ON COLUMN mart.source_channel.vendor IS 'Its vendor.';
COMMENT ON COLUMN mart.source_channel.channel IS 'A channel of messages that it reports on; NULL: it reports on none.';
COMMENT ON COLUMN mart.source_channel.tells_all_days IS 'Whether each answer tells of every day up to its own: days without a row are then no gaps.';

ALTER TABLE mart.messaging_day ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY visible_accounts ON mart.messaging_day USING (
    current_user = 'warehouse_owner'
    OR (vendor, account) IN (SELECT v.vendor, v.account FROM mart.visible_account v));

CREATE FUNCTION mart.calltouch_messaging(of_account text, of_days date[])
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
COMMENT ON FUNCTION mart.calltouch_messaging IS 'What Calltouch says of these days; an empty day is a row of zeros.';

CREATE FUNCTION mart.tellody_activity_messaging(of_account text, of_days date[])
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
COMMENT ON FUNCTION mart.tellody_activity_messaging IS 'What Tellody says of these days: attempts by channel, and reactions that it attributes to none.';

CREATE FUNCTION mart.trust_messaging(of_account text, of_days date[])
RETURNS SETOF mart.messaging_day
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.day, 'trust', of_account, 'push', t.total, t.sent, t.received, t.failed, t.pending,
        t.unknown, t.pressed, NULL::bigint, t.closed
    FROM unnest(of_days) AS d (day)
    LEFT JOIN warehouse.trust_campaign_statistics t
        ON t.stats_on = d.day AND t.company_id = of_account::bigint AND t.is_daily;
END;
COMMENT ON FUNCTION mart.trust_messaging IS 'What Trust says of these days; a day known only as part of a rolling week says nothing.';

-- A source joins in by bringing a function mart.<source>_messaging and its rows in mart.source_channel.
CREATE FUNCTION mart.refresh_messaging(of_source text, of_account text, of_days date[])
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
COMMENT ON FUNCTION mart.refresh_messaging IS 'Make mart.messaging_day of these loaded days equal to what the vendor said.';

CREATE FUNCTION mart.recount(of_site bigint, of_days date[])
RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    FOR asked IN
        SELECT a.time_zone, (s.observed_at AT TIME ZONE a.time_zone)::date AS asked_on,
            array_agg(s.day) AS days
        FROM ops.day_state s
        JOIN mart.account a ON a.vendor = 'calltouch' AND a.account = s.account
        WHERE s.source = 'calltouch' AND a.site_id = of_site AND s.day = ANY (of_days)
        GROUP BY 1, 2
    LOOP
        RETURN QUERY SELECT * FROM mart.refresh_sms(
            of_site, asked.days, asked.time_zone, asked.asked_on);
        PERFORM mart.refresh_messaging('calltouch', of_site::text, asked.days);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mart.recount IS 'Count loaded days of a site afresh, as of the day on which the vendor was asked; answers as mart.refresh_sms.';

RESET ROLE;
