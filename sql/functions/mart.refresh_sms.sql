-- One pass over the loaded days, then small differences. It runs inside the load's transaction, last of
-- all: its lock by site is held until the commit.
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
    cells := mart.fold_cells(of_site, cells);
    PERFORM mart.write_sms_day(of_site, of_days, cells);
    PERFORM mart.write_sms_hour(of_site, of_days, in_zone, cells);
    PERFORM mart.write_sms_template_hour(of_site, of_days, in_zone, cells);
    PERFORM mart.write_sms_maturity(of_site, of_days, observed, cells);
END
$$;
COMMENT ON FUNCTION mart.refresh_sms IS 'Count these days of a site afresh; answers with the templates made public by it and a text of each, for their masked text to be set.';
GRANT EXECUTE ON FUNCTION mart.refresh_sms TO warehouse_loader;
