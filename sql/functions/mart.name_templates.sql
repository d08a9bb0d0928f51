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
    -- If texts differ only in the words before their first comma, they begin with a form of address.
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
GRANT EXECUTE ON FUNCTION mart.name_templates TO warehouse_loader;
