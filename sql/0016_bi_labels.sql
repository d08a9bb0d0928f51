-- What accounts and templates are called: by the user's CSV (label, category, campaign), or by the
-- masked text, in which the names that it addresses are masked, too.
--
-- The hour and reach marts hold categories: where one changes, the days that had the template are
-- counted afresh, by the queue.

SET ROLE warehouse_owner;

CREATE FUNCTION mart.label_accounts(vendors text[], accounts text[], labels text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH named AS (
        UPDATE mart.account a SET label = coalesce(given.label, a.account)
        FROM unnest(vendors, accounts, labels) AS given (vendor, account, label)
        WHERE a.vendor = given.vendor AND a.account = given.account
          AND a.label <> coalesce(given.label, a.account)
        RETURNING 1
    )
    SELECT count(*) FROM named;
END;
COMMENT ON FUNCTION mart.label_accounts IS 'Set the labels of accounts; answers how many changed.';

-- The argument has a name: without one pg_dump writes a body that cannot be restored.
CREATE FUNCTION mart.split_address(masked text, OUT head text, OUT tail text)
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT part[1], part[2] FROM regexp_match(masked,
        '^(\{name\}|[А-ЯЁA-Z][А-ЯЁA-Zа-яёa-z-]+(?: [А-ЯЁA-Z][А-ЯЁA-Zа-яёa-z-]+){0,2})(,.*)$') AS part;
END;
COMMENT ON FUNCTION mart.split_address(text) IS 'A text that begins with one to three capitalised words and a comma, cut before the comma; else NULLs.';

CREATE FUNCTION mart.apply_labels() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.template t
    SET label = now.label, category = now.category, campaign = now.campaign
    FROM (
        SELECT x.site_id, x.template_id,
            coalesce(l.label, x.masked_text, '(text no longer kept)') AS label,
            coalesce(l.category, x.guessed_category) AS category, l.campaign
        FROM mart.template x LEFT JOIN mart.template_label l USING (template_id)
    ) now
    WHERE t.site_id = now.site_id AND t.template_id = now.template_id
      AND (t.label, t.category, t.campaign) IS DISTINCT FROM (now.label, now.category, now.campaign);
END;
COMMENT ON FUNCTION mart.apply_labels IS 'Give every public template the label, category and campaign that stand for it now.';

CREATE FUNCTION mart.name_templates(of_site bigint, ids uuid[], texts text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE mart.template t
    SET masked_text = regexp_replace(given.masked,
        '[А-ЯЁ][а-яё]+(-[А-ЯЁ][а-яё]+)? ([А-ЯЁ][а-яё]+(ич|вна|чна|шна)\M)', '{name}', 'g')
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
    PERFORM mart.apply_labels();
END
$$;
COMMENT ON FUNCTION mart.name_templates IS 'Set the masked texts of templates just made public, and mask the names that they address.';

CREATE FUNCTION mart.label_templates(
    ids uuid[], labels text[], categories text[], campaigns text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before jsonb := (SELECT jsonb_object_agg(c.site_id || ' ' || c.template_id, c.category)
        FROM mart.template c WHERE c.template_id = ANY (ids));
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
    PERFORM mart.apply_labels();
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, d.sent_on
    FROM mart.template c
    JOIN mart.sms_day d ON d.site_id = c.site_id AND d.template_id = c.template_id
    WHERE c.template_id = ANY (ids)
      AND before ->> (c.site_id || ' ' || c.template_id) IS DISTINCT FROM c.category;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mart.label_templates IS 'Set label, category and campaign of templates, and have the days counted afresh whose categories change; answers how many templates changed.';

RESET ROLE;
