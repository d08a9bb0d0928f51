CREATE OR REPLACE FUNCTION mart.named(
    of_template uuid, sample text,
    OUT template_id uuid, OUT guess text, OUT label text, OUT category text, OUT campaign text
) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT of_template, g.guess, coalesce(l.label, '(text no longer kept)'),
        coalesce(l.category, g.guess), l.campaign
    FROM (SELECT mart.guess_category(sample) AS guess) g
    LEFT JOIN mart.template_label l ON l.template_id = of_template;
END;
COMMENT ON FUNCTION mart.named IS 'The name and the category of a template that was just made public, until its masked text is known.';
