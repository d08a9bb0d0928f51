CREATE OR REPLACE FUNCTION mart.fold_below(threshold integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.folding SET below = threshold;
    INSERT INTO mart.stale (site_id, month, day)
    SELECT DISTINCT d.site_id, date_trunc('month', d.sent_on)::date, d.sent_on FROM mart.sms_day d;
END;
COMMENT ON FUNCTION mart.fold_below IS 'Put a day''s templates and hours with smaller counts than this together (0: none), and queue all days to be counted again. For the administrator.';
