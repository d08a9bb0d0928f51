CREATE OR REPLACE FUNCTION mart.share_ids(of_site bigint) RETURNS void
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
COMMENT ON FUNCTION mart.share_ids IS 'Show one template of a site for each text: the one that is shown already, else the first that was made public.';
