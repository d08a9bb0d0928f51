CREATE OR REPLACE FUNCTION mart.fold_cells(of_site bigint, cells mart.sms_cell[]) RETURNS mart.sms_cell[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fold_below integer := (SELECT f.below FROM mart.folding f);
BEGIN
    IF fold_below = 0 THEN
        RETURN cells;
    END IF;
    RETURN ARRAY(
        WITH few AS (
            SELECT c.sent_on, coalesce(p.same_as, p.template_id) AS shown
            FROM unnest(cells) c
            JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
            GROUP BY 1, 2 HAVING sum(c.messages) < fold_below
        )
        SELECT ROW(c.sent_on, c.from_instant, c.country,
            CASE WHEN few.shown IS NULL THEN c.template_id ELSE mart.rare_id() END, c.outcome, c.reason,
            c.recipient, c.sample, c.messages, c.segments, c.repeats, c.turned_final,
            c.hours_to_final)::mart.sms_cell
        FROM unnest(cells) c
        LEFT JOIN mart.template p ON p.site_id = of_site AND p.template_id = c.template_id
        LEFT JOIN few ON few.sent_on = c.sent_on AND few.shown = coalesce(p.same_as, p.template_id));
END
$$;
COMMENT ON FUNCTION mart.fold_cells IS 'The cells, with a day''s templates of fewer SMS than mart.folding.below as (rare).';
