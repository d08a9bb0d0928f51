-- A site's first load knows no public template, and would carry each recipient of each of them
-- through the one pass: a sample finds the frequent ones beforehand.
CREATE OR REPLACE FUNCTION mart.publish_sampled(of_site bigint, of_days date[])
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
COMMENT ON FUNCTION mart.publish_sampled IS 'Make the templates public that 20 recipients have in a sample of 50,000 SMS of these days; returns them.';
