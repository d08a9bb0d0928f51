-- Keeping the SMS marts current: one pass over the loaded days, then small differences.
--
-- mart.refresh_sms runs inside the load's transaction, last of all (it takes a lock by site that is
-- held until the commit). mart.refresh_month counts distinct recipients, needs the whole month, and
-- runs right after. Both write only what differs.

SET ROLE warehouse_owner;

CREATE TYPE mart.sms_cell AS (
    sent_on date, from_instant timestamptz, country text, template_id uuid, outcome text,
    reason text, recipient uuid, sample text, messages integer, segments integer, repeats integer,
    turned_final integer, hours_to_final double precision
);
COMMENT ON TYPE mart.sms_cell IS 'SMS of an hour that are equal in all that the marts tell apart; recipient and a sample text only for templates not yet public.';

-- Planner settings: a partition filled a moment ago has no statistics, and without them the planner
-- sorts a million rows, or walks the index row by row, for what one scan and a hash do in a third.
CREATE FUNCTION mart.sms_cells(
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
    SELECT s.sent_on, date_bin(stride, s.sent_at, first_instant), s.country, s.template_id,
        s.outcome, s.reason,
        CASE WHEN p.template_id IS NULL THEN s.recipient END,
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
COMMENT ON FUNCTION mart.sms_cells IS 'The days'' SMS counted in one pass. finals_from and finals_before bound the day of asking: rows first seen final within it.';

CREATE FUNCTION mart.tail_bits(pseudonym uuid) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || right(pseudonym::text, 8))::bit(32)::integer;
COMMENT ON FUNCTION mart.tail_bits IS 'The last 32 bits of a pseudonym: enough to tell 20 recipients apart, too few to look one up.';

CREATE FUNCTION mart.guess_category(sample text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
    WHEN sample ~ '(^|[^а-яёА-ЯЁa-zA-Z])([Кк]од|КОД|[Пп]арол|ПАРОЛ|[Cc]ode|CODE)[^0-9]{0,40}[0-9]{4,8}'
      OR sample ~ '[0-9]{4,8}[^0-9а-яёА-ЯЁa-zA-Z]{1,5}(ваш |Ваш |your |Your )?([Кк]од|КОД|[Пп]арол|[Cc]ode)'
    THEN 'code' ELSE 'unlabelled' END;
COMMENT ON FUNCTION mart.guess_category IS 'code where the text seems to carry a one-time code, else unlabelled: a guess until the user names the template.';

CREATE FUNCTION mart.named(
    of_template uuid, sample text,
    OUT template_id uuid, OUT guess text, OUT label text, OUT category text, OUT campaign text
) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT of_template, g.guess, coalesce(l.label, '(text no longer kept)'),
        coalesce(l.category, g.guess), l.campaign
    FROM (SELECT mart.guess_category(sample) AS guess) g
    LEFT JOIN mart.template_label l ON l.template_id = of_template;
END;
COMMENT ON FUNCTION mart.named IS 'What a template just made public is called and counted as, before its masked text is known.';

-- A site's first load knows no public template, and would carry each recipient of each of them
-- through the one pass: a sample finds the frequent ones beforehand.
CREATE FUNCTION mart.publish_sampled(of_site bigint, of_days date[])
RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    WITH seen AS (
        SELECT s.template_id, s.recipient, s.message FROM warehouse.calltouch_sms s
        WHERE s.site_id = of_site AND s.sent_on = ANY (of_days) AND s.template_id IS NOT NULL
        LIMIT 50000
    ), common AS (
        SELECT seen.template_id, min(seen.message) AS message FROM seen
        GROUP BY seen.template_id HAVING count(DISTINCT seen.recipient) >= 20
    ), added AS (
        INSERT INTO mart.template
            (site_id, template_id, guessed_category, label, category, campaign)
        SELECT of_site, n.template_id, n.guess, n.label, n.category, n.campaign
        FROM common, mart.named(common.template_id, common.message) n
        ON CONFLICT DO NOTHING RETURNING template_id
    ), tallied AS (
        DELETE FROM mart.rare_template r USING common
        WHERE r.site_id = of_site AND r.template_id = common.template_id
    )
    SELECT common.template_id, common.message FROM common JOIN added USING (template_id);
END
$$;
COMMENT ON FUNCTION mart.publish_sampled IS 'Make public what 20 recipients are seen to have among 50,000 SMS of the days; answers with the newly public ones.';

CREATE FUNCTION mart.publish_tallied(of_site bigint, cells mart.sms_cell[])
RETURNS TABLE (published uuid, sample text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH seen AS (
        SELECT c.template_id, array_agg(DISTINCT mart.tail_bits(c.recipient)) AS recipients,
            min(c.sample) AS message, max(c.sent_on) AS last_on
        FROM unnest(cells) c
        WHERE c.recipient IS NOT NULL AND c.template_id IS NOT NULL
        GROUP BY c.template_id
    ), tally AS (
        SELECT seen.template_id, seen.message, seen.last_on, r.recipients AS before,
            CASE WHEN r.recipients IS NULL THEN seen.recipients ELSE ARRAY(
                SELECT u FROM unnest(r.recipients) u UNION SELECT u FROM unnest(seen.recipients) u
            ) END AS recipients
        FROM seen LEFT JOIN mart.rare_template r
            ON r.site_id = of_site AND r.template_id = seen.template_id
    ), common AS (
        SELECT tally.template_id, tally.message, tally.before FROM tally
        WHERE cardinality(tally.recipients) >= 20
    ), added AS (
        INSERT INTO mart.template
            (site_id, template_id, guessed_category, label, category, campaign)
        SELECT of_site, n.template_id, n.guess, n.label, n.category, n.campaign
        FROM common, mart.named(common.template_id, common.message) n
    ), counted_out AS (
        DELETE FROM mart.rare_template r USING common
        WHERE r.site_id = of_site AND r.template_id = common.template_id
    ), first_seen AS (
        INSERT INTO mart.rare_template (site_id, template_id, recipients, last_seen_on)
        SELECT of_site, tally.template_id, tally.recipients, tally.last_on FROM tally
        WHERE tally.before IS NULL AND cardinality(tally.recipients) < 20
    ), seen_again AS (
        UPDATE mart.rare_template r
        SET recipients = tally.recipients, last_seen_on = greatest(r.last_seen_on, tally.last_on)
        FROM tally
        WHERE r.site_id = of_site AND r.template_id = tally.template_id
          AND cardinality(tally.recipients) < 20
          AND (cardinality(tally.recipients) > cardinality(r.recipients)
               OR tally.last_on > r.last_seen_on)
    )
    SELECT common.template_id, common.message FROM common;
END
$$;
COMMENT ON FUNCTION mart.publish_tallied IS 'Add the cells'' recipients to the tally of rare templates, and make those public that reach 20; answers with them.';

RESET ROLE;
