-- What a vendor says null to, or leaves out of a record, is NULL in its column; schema bi shows it apart
-- from what is empty.

SET ROLE warehouse_owner;

ALTER TABLE warehouse.calltouch_sms
    ALTER COLUMN phone DROP NOT NULL,
    ALTER COLUMN recipient DROP NOT NULL,
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN status_detail DROP NOT NULL,
    ALTER COLUMN message DROP NOT NULL,
    ALTER COLUMN segments DROP NOT NULL;
COMMENT ON COLUMN warehouse.calltouch_sms.sms_key IS 'First 16 bytes of SHA-256 over phone, second and text as received: identity of the SMS. A phone or text that is NULL gives another key than an empty one. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.phone IS 'Phone number as the vendor wrote it. NULL: the vendor said null, or left it out; the SMS is nobody''s, so phone_e164, country and recipient are NULL. (erased): the person asked for it; (reduced): older than PII_RETENTION_DAYS. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.phone_e164 IS 'Phone number in E.164; NULL where it is not a possible number, or there is none. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.recipient IS 'Keyed pseudonym of the number (BLAKE2b with PII_HASH_KEY). NULL: phone is NULL; such an SMS counts as a message, and as no recipient. Pseudonymous personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.status IS 'smsStatus as received: waiting, unknown, sent, error, delivered. NULL: the vendor said null, or left it out; outcome is then undetermined, reason no_status, is_final false, whatever the detail.';
COMMENT ON COLUMN warehouse.calltouch_sms.status_detail IS 'smsStatusDetail as received, in Russian. NULL: the vendor said null, or left it out; the outcome then goes by status alone, and the reason of a failure is no_detail.';
COMMENT ON COLUMN warehouse.calltouch_sms.reason IS 'Why it failed or is undetermined, as a short code; no_status and no_detail: the vendor says null; NULL where there is no reason to give.';
COMMENT ON COLUMN warehouse.calltouch_sms.message IS 'Text of the SMS; characters Postgres cannot store are replaced. NULL: the vendor said null, or left it out; template_id and segments are then NULL. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.template_id IS 'Pseudonym of the text as bi shows it, its variable parts and the names in it masked; equal for SMS of one template; NULL where message is NULL, or templates are switched off.';
COMMENT ON COLUMN warehouse.calltouch_sms.segments IS 'SMS segments the text takes (70/67 characters with Cyrillic, 160/153 in GSM-7; a pair, such as € or an emoji, is not split between two): the cost driver. NULL: message is NULL.';

ALTER TABLE warehouse.tellody_activity
    ALTER COLUMN sms_sent DROP NOT NULL,
    ALTER COLUMN email_sent DROP NOT NULL,
    ALTER COLUMN downloads DROP NOT NULL,
    ALTER COLUMN optouts DROP NOT NULL,
    ALTER COLUMN url_clicks DROP NOT NULL,
    ALTER COLUMN vouchers_viewed DROP NOT NULL;
COMMENT ON COLUMN warehouse.tellody_activity.sms_sent IS 'SMS attempts (SMS_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.email_sent IS 'E-mail attempts (EMAIL_SENT), number of messages; says nothing of their delivery. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.downloads IS 'File downloads (DL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.optouts IS 'Opt-outs that were begun (OPTOUT), number of events. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.url_clicks IS 'Clicked URLs (URL), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_activity.vouchers_viewed IS 'Vouchers viewed (VOUCHER), number of events; not of people. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.amount IS 'Money paid, exact, in a currency that the vendor does not name (TELLODY_CURRENCY, if set). NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.tellody_credit_purchase.credits IS 'Credits bought, exact. NULL: the vendor said null, or left it out.';

ALTER TABLE warehouse.trust_campaign_statistics
    ALTER COLUMN total DROP NOT NULL,
    ALTER COLUMN sent DROP NOT NULL,
    ALTER COLUMN pending DROP NOT NULL,
    ALTER COLUMN failed DROP NOT NULL,
    ALTER COLUMN received DROP NOT NULL,
    ALTER COLUMN pressed DROP NOT NULL,
    ALTER COLUMN closed DROP NOT NULL,
    ALTER COLUMN unknown DROP NOT NULL;
COMMENT ON COLUMN warehouse.trust_campaign_statistics.total IS 'Notifications programmed up to the moment of asking (vendor''s total). May be cumulative: not known to add up over days. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.sent IS 'Notifications sent successfully (vendor''s sended); says nothing of their arrival. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.pending IS 'Notifications that could not be sent yet, for whatever reason. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.failed IS 'Notifications that could not be sent and will not be tried again (vendor''s fails), mostly because the app was uninstalled. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.received IS 'Messages that arrived on the device (RECEIVED); seen or not is unknown. 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.pressed IS 'Messages seen whose action button was pressed (PRESS_ACTION). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.closed IS 'Messages seen that were closed with the button (CLOSED). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.unknown IS 'Messages that failed to render on the device, or another unknown error on arrival (UNKNOWN). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';

-- SMS without a text have a template of their own in the marts, and those without a number a country.

ALTER TABLE mart.sms_day ALTER COLUMN segments DROP NOT NULL;
COMMENT ON COLUMN mart.sms_day.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN mart.sms_day.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN mart.sms_day.segments IS 'Segments that they took; NULL: (no text), not known.';
COMMENT ON COLUMN mart.template.template_id IS 'Pseudonym of the masked text; all zeros: (rare); zeros and a 1: (no text), the vendor tells none.';

CREATE FUNCTION mart.no_text_id() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000001'::uuid;
COMMENT ON FUNCTION mart.no_text_id IS 'The template_id that stands for SMS whose text the vendor does not tell.';

CREATE FUNCTION mart.template_of(template_id uuid, message text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(template_id, CASE WHEN message IS NULL THEN mart.no_text_id() END);
COMMENT ON FUNCTION mart.template_of IS 'What an SMS is counted under: its template, or that of SMS without a text.';

CREATE FUNCTION mart.country_of(country text, recipient uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(country, CASE WHEN recipient IS NULL THEN 'none' ELSE 'unknown' END);
COMMENT ON FUNCTION mart.country_of IS 'The country that an SMS is counted under: none, where the vendor tells no number.';

CREATE OR REPLACE FUNCTION mart.sms_cells(
    of_site bigint, of_days date[], in_zone text, finals_from timestamptz, finals_before timestamptz
) RETURNS SETOF mart.sms_cell
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET enable_nestloop = off SET work_mem = '128MB'
AS $$
DECLARE
    first_instant timestamptz := (SELECT min(d)::timestamp AT TIME ZONE in_zone FROM unnest(of_days) d);
    last_instant timestamptz := (SELECT max(d + 1)::timestamp AT TIME ZONE in_zone FROM unnest(of_days) d);
    -- Local hours begin on whole hours from the first midnight, unless the clock moved by half of one.
    stride interval := CASE
        WHEN date_part('minute', (last_instant AT TIME ZONE in_zone) - (first_instant AT TIME ZONE in_zone)
                - (last_instant - first_instant)) = 0 THEN '1 hour' ELSE '30 minutes' END;
BEGIN
    RETURN QUERY
    SELECT s.sent_on, date_bin(stride, s.sent_at, first_instant),
        mart.country_of(s.country, s.recipient), mart.template_of(s.template_id, s.message),
        s.outcome, s.reason,
        CASE WHEN p.template_id IS NULL AND s.template_id IS NOT NULL THEN s.recipient END,
        min(CASE WHEN p.template_id IS NULL THEN s.message END),
        count(*)::integer, sum(s.segments)::integer,
        (count(*) FILTER (WHERE s.occurrence > 1))::integer,
        (count(*) FILTER (WHERE s.final_seen_at > s.first_loaded_at
            AND s.final_seen_at >= finals_from AND s.final_seen_at < finals_before))::integer,
        coalesce(sum(date_part('epoch', s.final_seen_at - s.sent_at) / 3600)
            FILTER (WHERE s.final_seen_at > s.first_loaded_at
            AND s.final_seen_at >= finals_from AND s.final_seen_at < finals_before), 0)
    FROM warehouse.calltouch_sms s
    LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = s.template_id
    WHERE s.site_id = of_site AND s.sent_on = ANY (of_days)
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
END
$$;

CREATE FUNCTION mart.show_no_text(of_site bigint, cells mart.sms_cell[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label, category,
        published_at, names_masked)
    SELECT of_site, mart.no_text_id(), '(no text)', 'no text', '(no text)', 'no text', NULL, true
    WHERE EXISTS (SELECT FROM unnest(cells) c WHERE c.template_id = mart.no_text_id())
    ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION mart.show_no_text IS 'Have the template of SMS without a text, where the cells have such.';

CREATE OR REPLACE FUNCTION mart.refresh_sms(
    of_site bigint, of_days date[], in_zone text, observed date
) RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cells mart.sms_cell[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mart of site ' || of_site, 0));
    IF NOT EXISTS (SELECT FROM mart.template WHERE site_id = of_site
            AND template_id NOT IN (mart.rare_id(), mart.no_text_id())) THEN
        RETURN QUERY SELECT * FROM mart.publish_sampled(of_site, of_days);
    END IF;
    cells := ARRAY(SELECT c FROM mart.sms_cells(of_site, of_days, in_zone,
        observed::timestamp AT TIME ZONE in_zone, (observed + 1)::timestamp AT TIME ZONE in_zone) c);
    PERFORM mart.show_no_text(of_site, cells);
    RETURN QUERY SELECT * FROM mart.publish_tallied(of_site, cells);
    PERFORM mart.write_sms_day(of_site, of_days, cells);
    PERFORM mart.write_sms_hour(of_site, of_days, in_zone, cells);
    PERFORM mart.write_sms_maturity(of_site, of_days, observed, cells);
END
$$;

CREATE OR REPLACE FUNCTION mart.count_reach(for_site bigint, for_month date)
RETURNS SETOF mart.sms_reach
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0.001
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
    first_week date := mart.monday_of(for_month);
    after_weeks date := mart.monday_of(next_month - 1) + 7;
BEGIN
    RETURN QUERY
    WITH sent AS (
        SELECT s.recipient, mart.template_of(s.template_id, s.message) AS template_id,
            (s.sent_on - first_week) / 7 AS week,
            s.sent_on >= for_month AND s.sent_on < next_month AS in_month
        FROM warehouse.calltouch_sms s
        WHERE s.site_id = for_site AND s.sent_on >= first_week AND s.sent_on < after_weeks
          AND s.recipient IS NOT NULL
    ), had AS MATERIALIZED (
        SELECT sent.recipient, coalesce(p.category, 'rare') AS category,
            count(*) FILTER (WHERE in_month)::integer AS month,
            count(*) FILTER (WHERE week = 0)::integer AS week_0,
            count(*) FILTER (WHERE week = 1)::integer AS week_1,
            count(*) FILTER (WHERE week = 2)::integer AS week_2,
            count(*) FILTER (WHERE week = 3)::integer AS week_3,
            count(*) FILTER (WHERE week = 4)::integer AS week_4,
            count(*) FILTER (WHERE week = 5)::integer AS week_5
        FROM sent
        LEFT JOIN mart.template p ON p.site_id = for_site AND p.template_id = sent.template_id
        GROUP BY 1, 2
    ), whoever AS (
        SELECT category, month, week_0, week_1, week_2, week_3, week_4, week_5 FROM had
        UNION ALL
        SELECT 'all',
            sum(month)::integer, sum(week_0)::integer, sum(week_1)::integer, sum(week_2)::integer,
            sum(week_3)::integer, sum(week_4)::integer, sum(week_5)::integer
        FROM had GROUP BY recipient
    ), counted (
        category,
        month_any, month_often, month_sum,
        week_0_any, week_0_often, week_0_sum,
        week_1_any, week_1_often, week_1_sum,
        week_2_any, week_2_often, week_2_sum,
        week_3_any, week_3_often, week_3_sum,
        week_4_any, week_4_often, week_4_sum,
        week_5_any, week_5_often, week_5_sum
    ) AS (
        SELECT category,
            count(*) FILTER (WHERE month >= 1), count(*) FILTER (WHERE month >= 4), sum(month),
            count(*) FILTER (WHERE week_0 >= 1), count(*) FILTER (WHERE week_0 >= 4), sum(week_0),
            count(*) FILTER (WHERE week_1 >= 1), count(*) FILTER (WHERE week_1 >= 4), sum(week_1),
            count(*) FILTER (WHERE week_2 >= 1), count(*) FILTER (WHERE week_2 >= 4), sum(week_2),
            count(*) FILTER (WHERE week_3 >= 1), count(*) FILTER (WHERE week_3 >= 4), sum(week_3),
            count(*) FILTER (WHERE week_4 >= 1), count(*) FILTER (WHERE week_4 >= 4), sum(week_4),
            count(*) FILTER (WHERE week_5 >= 1), count(*) FILTER (WHERE week_5 >= 4), sum(week_5)
        FROM whoever GROUP BY category
    )
    SELECT v.period, v.period_start, for_site, counted.category,
        v.recipients::integer, v.often::integer, v.messages::integer
    FROM counted CROSS JOIN LATERAL (VALUES
        ('month', for_month, month_any, month_often, month_sum),
        ('week', first_week, week_0_any, week_0_often, week_0_sum),
        ('week', first_week + 7, week_1_any, week_1_often, week_1_sum),
        ('week', first_week + 14, week_2_any, week_2_often, week_2_sum),
        ('week', first_week + 21, week_3_any, week_3_often, week_3_sum),
        ('week', first_week + 28, week_4_any, week_4_often, week_4_sum),
        ('week', first_week + 35, week_5_any, week_5_often, week_5_sum)
    ) v (period, period_start, recipients, often, messages)
    WHERE v.recipients > 0;
END
$$;

CREATE OR REPLACE FUNCTION mart.count_bad_numbers(for_site bigint, for_month date)
RETURNS SETOF mart.sms_bad_numbers
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_sort = off SET enable_indexscan = off SET work_mem = '128MB'
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0.001
AS $$
DECLARE
    next_month date := (for_month + interval '1 month')::date;
BEGIN
    RETURN QUERY
    SELECT for_month, for_site, repeated.reason, count(*)::integer,
        sum(repeated.failures - 1)::integer
    FROM (
        SELECT coalesce(s.reason, 'none') AS reason, count(*)::integer AS failures
        FROM warehouse.calltouch_sms s
        WHERE s.site_id = for_site AND s.sent_on >= for_month AND s.sent_on < next_month
          AND s.outcome = 'failed' AND s.recipient IS NOT NULL
        GROUP BY s.recipient, 1
    ) repeated
    WHERE repeated.failures >= 2 GROUP BY repeated.reason;
END
$$;

-- One id for one text that is shown of a site: of templates that come to share a text, one is shown, and
-- the others are counted with it.

ALTER TABLE mart.template ADD COLUMN same_as uuid;
COMMENT ON COLUMN mart.template.same_as IS 'The template of the site that is shown in place of this one, since both have the same text; NULL: it is shown itself.';
CREATE INDEX template_same_as ON mart.template (site_id, same_as) WHERE same_as IS NOT NULL;

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

CREATE OR REPLACE FUNCTION mart.apply_labels() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.template t
    SET label = now.label, category = now.category, campaign = now.campaign
    FROM (
        SELECT x.site_id, x.template_id,
            coalesce(l.label, x.masked_text, '(text no longer kept)') AS label,
            coalesce(l.category, shown.guessed_category) AS category, l.campaign
        FROM mart.template x
        JOIN mart.template shown
            ON shown.site_id = x.site_id AND shown.template_id = coalesce(x.same_as, x.template_id)
        LEFT JOIN mart.template_label l ON l.template_id = shown.template_id
    ) now
    WHERE t.site_id = now.site_id AND t.template_id = now.template_id
      AND (t.label, t.category, t.campaign) IS DISTINCT FROM (now.label, now.category, now.campaign);
END;

-- Hours and reach hold categories: where one changes with the id, the days are counted afresh.
CREATE FUNCTION mart.count_with(of_site bigint, olds uuid[], news uuid[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.template_label
    SELECT DISTINCT ON (c.new) c.new, l.label, l.category, l.campaign
    FROM unnest(olds, news) AS c (old, new)
    JOIN mart.template_label l ON l.template_id = c.old
    ORDER BY c.new, c.old
    ON CONFLICT DO NOTHING;
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT of_site, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM unnest(olds, news) AS c (old, new)
    JOIN mart.template before ON before.site_id = of_site AND before.template_id = c.old
    JOIN mart.template after ON after.site_id = of_site AND after.template_id = c.new
    JOIN mart.sms_day d ON d.site_id = of_site AND d.template_id = c.old
    WHERE before.category <> after.category;
    WITH moved AS (
        DELETE FROM mart.sms_day d USING unnest(olds, news) AS c (old, new)
        WHERE d.site_id = of_site AND d.template_id = c.old
        RETURNING d.sent_on, c.new, d.country, d.outcome, d.reason, d.messages, d.segments, d.repeats
    )
    INSERT INTO mart.sms_day AS s
        (sent_on, site_id, template_id, country, outcome, reason, messages, segments, repeats)
    SELECT m.sent_on, of_site, m.new, m.country, m.outcome, m.reason, sum(m.messages),
        sum(m.segments), sum(m.repeats)
    FROM moved m GROUP BY m.sent_on, m.new, m.country, m.outcome, m.reason
    ON CONFLICT (sent_on, site_id, template_id, country, outcome, reason) DO UPDATE
        SET messages = s.messages + excluded.messages, segments = s.segments + excluded.segments,
            repeats = s.repeats + excluded.repeats;
END;
COMMENT ON FUNCTION mart.count_with IS 'Count templates of a site, and keep their labels, under others from now on.';

CREATE FUNCTION mart.share_ids(of_site bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    olds uuid[];
    news uuid[];
BEGIN
    SELECT array_agg(x.template_id), array_agg(x.shown) INTO olds, news
    FROM (
        SELECT t.template_id, t.same_as, first_value(t.template_id) OVER (PARTITION BY t.masked_text
            ORDER BY t.same_as IS NOT NULL, t.published_at, t.template_id) AS shown
        FROM mart.template t
        WHERE t.site_id = of_site AND t.masked_text IS NOT NULL
          AND t.template_id NOT IN (mart.rare_id(), mart.no_text_id())
    ) x
    WHERE coalesce(x.same_as, x.template_id) <> x.shown;
    IF olds IS NULL THEN
        RETURN;
    END IF;
    PERFORM mart.count_with(of_site, olds, news);
    UPDATE mart.template t SET same_as = nullif(c.new, c.old)
    FROM unnest(olds, news) AS c (old, new)
    WHERE t.site_id = of_site AND t.template_id = c.old;
END
$$;
COMMENT ON FUNCTION mart.share_ids IS 'Have one template of a site shown for each text: the one that is shown already, else the first that was made public.';

CREATE OR REPLACE FUNCTION mart.name_templates(of_site bigint, ids uuid[], texts text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mart of site ' || of_site, 0));
    UPDATE mart.template t
    SET masked_text = regexp_replace(given.masked,
            '[А-ЯЁ][а-яё]+(-[А-ЯЁ][а-яё]+)? ([А-ЯЁ][а-яё]+(ич|вна|чна|шна)\M)', '{name}', 'g'),
        names_masked = true
    FROM unnest(ids, texts) AS given (template_id, masked)
    WHERE t.site_id = of_site AND t.template_id = given.template_id;
    -- Texts that differ in the word before their first comma alone begin with a form of address.
    UPDATE mart.template t
    SET masked_text = '{name}' || addressed.tail
    FROM (
        SELECT split.tail FROM mart.template x, mart.split_address(x.masked_text) AS split
        WHERE x.site_id = of_site AND split.head IS NOT NULL
        GROUP BY split.tail HAVING count(DISTINCT split.head) >= 2
    ) addressed
    WHERE t.site_id = of_site AND (mart.split_address(t.masked_text)).tail = addressed.tail
      AND t.masked_text NOT LIKE '{name},%';
    PERFORM mart.share_ids(of_site);
    PERFORM mart.apply_labels();
END
$$;
COMMENT ON FUNCTION mart.name_templates IS 'Set the masked texts of templates, mask the names that they address, and have one id shown for one text.';

CREATE OR REPLACE FUNCTION mart.label_templates(
    ids uuid[], labels text[], categories text[], campaigns text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Under the id that is shown, also where the file has one that was shown before.
    shown uuid[] := ARRAY(
        SELECT DISTINCT coalesce(t.same_as, g.id) FROM unnest(ids) AS g (id)
        LEFT JOIN mart.template t ON t.template_id = g.id);
    before jsonb := (SELECT jsonb_object_agg(c.site_id || ' ' || c.template_id, c.category)
        FROM mart.template c WHERE c.template_id = ANY (shown));
    changed bigint;
BEGIN
    WITH given AS (
        SELECT DISTINCT ON (coalesce(t.same_as, g.id)) coalesce(t.same_as, g.id) AS template_id,
            g.label, g.category, g.campaign
        FROM unnest(ids, labels, categories, campaigns) WITH ORDINALITY
            AS g (id, label, category, campaign, place)
        LEFT JOIN mart.template t ON t.template_id = g.id
        ORDER BY coalesce(t.same_as, g.id), t.same_as IS NOT NULL, g.place
    ), named AS (
        INSERT INTO mart.template_label AS l
        SELECT g.* FROM given g
        WHERE NOT EXISTS (
            SELECT FROM mart.template_label o WHERE o.template_id = g.template_id
              AND (o.label, o.category, o.campaign) IS NOT DISTINCT FROM (g.label, g.category, g.campaign))
        ON CONFLICT (template_id) DO UPDATE
            SET label = excluded.label, category = excluded.category, campaign = excluded.campaign
        RETURNING 1
    )
    SELECT count(*) INTO changed FROM named;
    PERFORM mart.apply_labels();
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM mart.template c
    JOIN mart.sms_day d ON d.site_id = c.site_id AND d.template_id = c.template_id
    WHERE c.template_id = ANY (shown)
      AND before ->> (c.site_id || ' ' || c.template_id) IS DISTINCT FROM c.category;
    RETURN changed;
END
$$;

-- As before; the template of SMS without a text hangs on no key, and of those that share a text one that
-- has a pseudonym under the new key is shown.
CREATE OR REPLACE FUNCTION mart.rekey_templates() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lost record;
BEGIN
    FOR lost IN
        SELECT t.site_id, array_agg(t.template_id) AS olds, array_agg(heir.template_id) AS news
        FROM mart.template t
        JOIN LATERAL (
            SELECT m.template_id FROM mart.template m
            JOIN ops.rekeyed_pseudonym p ON p.kind = 'template' AND p.old = m.template_id
            WHERE m.site_id = t.site_id AND m.same_as = t.template_id
            ORDER BY m.published_at, m.template_id LIMIT 1
        ) heir ON true
        WHERE NOT EXISTS (
            SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id)
        GROUP BY t.site_id
    LOOP
        PERFORM mart.count_with(lost.site_id, lost.olds, lost.news);
        UPDATE mart.template t SET same_as = nullif(c.new, t.template_id)
        FROM unnest(lost.olds, lost.news) AS c (old, new)
        WHERE t.site_id = lost.site_id AND t.same_as = c.old;
    END LOOP;
    DELETE FROM mart.template t
    WHERE t.template_id NOT IN (mart.rare_id(), mart.no_text_id()) AND NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    DELETE FROM mart.template_label t
    WHERE t.template_id <> mart.no_text_id() AND NOT EXISTS (
        SELECT FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id);
    UPDATE mart.template t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.template t SET same_as = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.same_as;
    UPDATE mart.template_label t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    UPDATE mart.sms_day t SET template_id = p.new
    FROM ops.rekeyed_pseudonym p WHERE p.kind = 'template' AND p.old = t.template_id;
    DELETE FROM mart.rare_template;
END
$$;

-- Texts that are shown already: one id each from now on; and they go through today's masking once more,
-- when the marts are next brought up to date.
DO $$
DECLARE
    of_site bigint;
BEGIN
    FOR of_site IN SELECT DISTINCT site_id FROM mart.template LOOP
        PERFORM mart.share_ids(of_site);
    END LOOP;
    PERFORM mart.apply_labels();
    UPDATE mart.template SET names_masked = false
    WHERE masked_text IS NOT NULL AND template_id NOT IN (mart.rare_id(), mart.no_text_id());
END
$$;

CREATE OR REPLACE VIEW bi.template WITH (security_barrier) AS
SELECT t.site_id, a.label AS account_label, t.template_id,
    coalesce(t.masked_text, '(text no longer kept)') AS template_text, t.label AS template_label,
    t.category, t.campaign, (t.published_at AT TIME ZONE 'UTC')::date AS published_on
FROM mart.template t
JOIN mart.visible_account a ON a.site_id = t.site_id
WHERE t.same_as IS NULL;

-- A reader may call no function of schema mart: the expressions of mart.country_of and mart.template_of.
CREATE OR REPLACE VIEW bi.sms_detail WITH (security_barrier) AS
SELECT s.sent_on, extract(hour FROM s.sent_at AT TIME ZONE a.time_zone)::smallint AS hour, s.site_id,
    a.label AS account_label, s.recipient,
    coalesce(t.same_as, t.template_id, CASE WHEN s.template_id IS NULL AND s.message IS NULL
        THEN '00000000-0000-0000-0000-000000000001'::uuid
        ELSE '00000000-0000-0000-0000-000000000000'::uuid END) AS template_id,
    coalesce(s.country, CASE WHEN s.recipient IS NULL THEN 'none' ELSE 'unknown' END) AS country,
    s.outcome, coalesce(s.reason, 'none') AS reason, s.is_final, s.segments, s.occurrence
FROM warehouse.calltouch_sms s
JOIN mart.visible_account a ON a.site_id = s.site_id
LEFT JOIN mart.template t ON t.site_id = s.site_id AND t.template_id = s.template_id;

-- A column that a view passes on keeps the meaning it has where it comes from.
DO $$
DECLARE
    passed record;
BEGIN
    FOR passed IN
        SELECT v.view, c.attname, col_description(c.attrelid, c.attnum) AS meaning
        FROM (VALUES
            ('bi.sms_day', 'mart.sms_day', ARRAY['template_id', 'country']),
            ('bi.sms_detail', 'warehouse.calltouch_sms', ARRAY['recipient', 'segments']),
            ('bi_pii.sms', 'warehouse.calltouch_sms', ARRAY['phone', 'phone_e164', 'recipient', 'status',
                'status_detail', 'reason', 'message', 'template_id', 'segments']),
            ('bi.tellody_activity_day', 'warehouse.tellody_activity', ARRAY['sms_sent', 'email_sent',
                'downloads', 'optouts', 'url_clicks', 'vouchers_viewed']),
            ('bi.credit_purchase', 'warehouse.tellody_credit_purchase', ARRAY['amount', 'credits']),
            ('bi.trust_day', 'warehouse.trust_campaign_statistics', ARRAY['total', 'sent', 'pending',
                'failed', 'received', 'pressed', 'closed', 'unknown']),
            ('bi.trust_window', 'warehouse.trust_campaign_statistics', ARRAY['total', 'sent', 'pending',
                'failed', 'received', 'pressed', 'closed', 'unknown'])
        ) v (view, source, columns)
        JOIN pg_attribute c ON c.attrelid = v.source::regclass AND c.attname = ANY (v.columns)
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', passed.view, passed.attname, passed.meaning);
    END LOOP;
END
$$;
COMMENT ON COLUMN bi.template.template_id IS 'Identity of the template, one for one text of a site: a keyed hash of the text as it is shown, or was when it was first made public. All zeros: (rare); zeros and a 1: (no text), SMS whose text the vendor does not tell.';
COMMENT ON COLUMN bi.sms_day.template_label IS 'Name given by the user, or else the masked text; (rare): texts that fewer than 20 recipients of the site had; (no text): the vendor tells none.';
COMMENT ON COLUMN bi.sms_day.reason IS 'Why, as a short code; no_status and no_detail: the vendor tells none of it; none where there is no reason to give.';
COMMENT ON COLUMN bi.sms_day.segments IS 'Segments that they took (70/67 characters with Cyrillic, 160/153 in GSM-7): the cost driver. NULL: (no text), not known.';
COMMENT ON COLUMN bi.sms_detail.template_id IS 'Template, as in bi.template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN bi.sms_detail.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON VIEW bi.sms_reach IS 'Distinct recipients by month or by week, site and category. Does not add up, over periods, sites or categories: the row all counts each recipient once. SMS whose number the vendor does not tell are left out. Choose one period. Source: Calltouch.';
COMMENT ON VIEW bi.sms_bad_numbers IS 'Recipients whose SMS failed twice or more for one reason within a month. Recipients do not add up. SMS whose number the vendor does not tell are left out. Source: warehouse.calltouch_sms.';

RESET ROLE;
