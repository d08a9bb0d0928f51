CREATE OR REPLACE FUNCTION mart.prune_rare_templates(before date) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH gone AS (
        DELETE FROM mart.rare_template r WHERE r.last_seen_on < prune_rare_templates.before
        RETURNING 1
    )
    SELECT count(*) FROM gone;
END;
COMMENT ON FUNCTION mart.prune_rare_templates IS 'Delete the tallies of rare templates that were not sent since this day; returns how many.';
GRANT EXECUTE ON FUNCTION mart.prune_rare_templates TO warehouse_loader;
