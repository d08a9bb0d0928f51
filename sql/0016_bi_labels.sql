-- Names of the user's: for accounts, and for templates (label, category, campaign).
--
-- The hour and reach marts hold categories: where one changes, the days that had the template are
-- counted afresh, by the queue.

SET ROLE warehouse_owner;

CREATE FUNCTION mart.label_accounts(vendors text[], accounts text[], labels text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH named AS (
        UPDATE mart.account a SET label = given.label
        FROM unnest(vendors, accounts, labels) AS given (vendor, account, label)
        WHERE a.vendor = given.vendor AND a.account = given.account
          AND a.label IS DISTINCT FROM given.label
        RETURNING 1
    )
    SELECT count(*) FROM named;
END;
COMMENT ON FUNCTION mart.label_accounts IS 'Set the labels of accounts; answers how many changed.';

CREATE FUNCTION mart.label_templates(
    ids uuid[], labels text[], categories text[], campaigns text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before jsonb := (SELECT jsonb_object_agg(c.site_id || ' ' || c.template_id, c.category)
        FROM mart.template_category c WHERE c.template_id = ANY (ids));
    changed bigint;
BEGIN
    WITH given AS (
        SELECT g.* FROM unnest(ids, labels, categories, campaigns)
            AS g (template_id, label, category, campaign)
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
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM mart.template_category c
    JOIN mart.sms_day d ON d.site_id = c.site_id AND d.template_id = c.template_id
    WHERE c.template_id = ANY (ids)
      AND before ->> (c.site_id || ' ' || c.template_id) IS DISTINCT FROM c.category;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mart.label_templates IS 'Set label, category and campaign of templates, and have the days counted afresh whose categories change; answers how many templates changed.';

RESET ROLE;
