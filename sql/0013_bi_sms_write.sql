-- What a load writes into the SMS marts, out of the counted cells: differences, nothing else.

SET ROLE warehouse_owner;

CREATE FUNCTION mart.rare_id() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;
COMMENT ON FUNCTION mart.rare_id IS 'The template_id that stands for all rare templates.';

CREATE FUNCTION mart.register_account(
    of_vendor text, of_account text, in_zone text, in_currency text DEFAULT NULL
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.account AS a (vendor, account, site_id, time_zone, currency, label)
    SELECT of_vendor, of_account,
        CASE WHEN of_vendor = 'calltouch' THEN of_account::bigint END, in_zone, in_currency,
        of_account
    WHERE NOT EXISTS (
        SELECT FROM mart.account old
        WHERE old.vendor = of_vendor AND old.account = of_account AND old.time_zone = in_zone
          AND old.currency IS NOT DISTINCT FROM coalesce(in_currency, old.currency))
    ON CONFLICT (vendor, account) DO UPDATE
        SET time_zone = excluded.time_zone, currency = coalesce(excluded.currency, a.currency);
    INSERT INTO mart.template
    SELECT a.site_id, mart.rare_id(), '(rare)', 'rare', '(rare)', 'rare', NULL, NULL
    FROM mart.account a
    WHERE a.vendor = of_vendor AND a.account = of_account AND a.site_id IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM mart.template t
        WHERE t.site_id = a.site_id AND t.template_id = mart.rare_id())
    ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION mart.register_account IS 'Make an account known to bi, or correct its time zone and currency.';

CREATE FUNCTION mart.write_sms_day(of_site bigint, of_days date[], cells mart.sms_cell[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_day[];
BEGIN
    SELECT array_agg((sent_on, of_site, template_id, country, outcome, reason, messages, segments,
        repeats)::mart.sms_day) INTO fresh
    FROM (
        SELECT c.sent_on, coalesce(p.template_id, mart.rare_id()) AS template_id,
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

CREATE FUNCTION mart.write_sms_hour(
    of_site bigint, of_days date[], in_zone text, cells mart.sms_cell[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fresh mart.sms_hour[];
BEGIN
    SELECT array_agg((sent_on, of_site, hour, category, outcome, messages)::mart.sms_hour) INTO fresh
    FROM (
        SELECT c.sent_on, extract(hour FROM c.from_instant AT TIME ZONE in_zone) AS hour,
            coalesce(p.category, 'rare') AS category, c.outcome, sum(c.messages) AS messages
        FROM unnest(cells) c
        LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
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

CREATE FUNCTION mart.write_sms_maturity(
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

CREATE FUNCTION mart.refresh_sms(
    of_site bigint, of_days date[], in_zone text, observed date
) RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cells mart.sms_cell[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mart of site ' || of_site, 0));
    IF NOT EXISTS (SELECT FROM mart.template WHERE site_id = of_site AND category <> 'rare') THEN
        RETURN QUERY SELECT * FROM mart.publish_sampled(of_site, of_days);
    END IF;
    cells := ARRAY(SELECT c FROM mart.sms_cells(of_site, of_days, in_zone,
        observed::timestamp AT TIME ZONE in_zone, (observed + 1)::timestamp AT TIME ZONE in_zone) c);
    RETURN QUERY SELECT * FROM mart.publish_tallied(of_site, cells);
    PERFORM mart.write_sms_day(of_site, of_days, cells);
    PERFORM mart.write_sms_hour(of_site, of_days, in_zone, cells);
    PERFORM mart.write_sms_maturity(of_site, of_days, observed, cells);
END
$$;
COMMENT ON FUNCTION mart.refresh_sms IS 'Count these days of a site afresh; answers with the templates made public by it and a text of each, for their masked text to be set.';

CREATE FUNCTION mart.observe_unchanged(of_site bigint, of_days date[], observed date) RETURNS void
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
COMMENT ON FUNCTION mart.observe_unchanged IS 'Record that these days were asked for again and stood as before.';

RESET ROLE;
