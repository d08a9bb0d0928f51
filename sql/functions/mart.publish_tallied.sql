CREATE OR REPLACE FUNCTION mart.publish_tallied(of_site bigint, cells mart.sms_cell[])
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
COMMENT ON FUNCTION mart.publish_tallied IS 'Add the cells'' recipients to the tallies of rare templates, and make the templates public that reach 20; returns them.';
