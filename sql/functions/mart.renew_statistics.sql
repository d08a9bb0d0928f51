-- Autovacuum does not analyze tables as small as these; without statistics the planner assumes that
-- a filter on a label or a category leaves one row, and joins in loops.
CREATE OR REPLACE FUNCTION mart.renew_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ANALYZE mart.account, mart.template, mart.template_label, mart.source_channel, mart.sms_price, ops.bi_grant;
END
$$;
COMMENT ON FUNCTION mart.renew_statistics IS 'Renew the planner''s statistics of the tables that name things.';
GRANT EXECUTE ON FUNCTION mart.renew_statistics TO warehouse_loader;
