CREATE OR REPLACE FUNCTION mart.write_month(
    for_site bigint, for_month date, frequencies mart.sms_frequency[], bad mart.sms_bad_numbers[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first_week date := mart.monday_of(for_month);
    last_day date := (for_month + interval '1 month')::date - 1;
    reach mart.sms_reach[] := ARRAY(SELECT r FROM mart.reach_of(frequencies) r);
BEGIN
    DELETE FROM mart.sms_frequency old USING (
        SELECT * FROM mart.sms_frequency
        WHERE site_id = for_site AND (period = 'month' AND period_start = for_month
            OR period = 'week' AND period_start BETWEEN first_week AND last_day)
        EXCEPT SELECT * FROM unnest(frequencies)
    ) gone
    WHERE old.period = gone.period AND old.period_start = gone.period_start AND old.site_id = for_site
      AND old.dimension = gone.dimension AND old.member = gone.member AND old.frequency = gone.frequency;
    INSERT INTO mart.sms_frequency
    SELECT * FROM unnest(frequencies)
    EXCEPT SELECT * FROM mart.sms_frequency
    WHERE site_id = for_site AND period_start BETWEEN first_week AND last_day;

    DELETE FROM mart.sms_reach old USING (
        SELECT * FROM mart.sms_reach
        WHERE site_id = for_site AND (period = 'month' AND period_start = for_month
            OR period = 'week' AND period_start BETWEEN first_week AND last_day)
        EXCEPT SELECT * FROM unnest(reach)
    ) gone
    WHERE old.period = gone.period AND old.period_start = gone.period_start
      AND old.site_id = for_site AND old.category = gone.category;
    INSERT INTO mart.sms_reach
    SELECT * FROM unnest(reach)
    EXCEPT SELECT * FROM mart.sms_reach
    WHERE site_id = for_site AND period_start BETWEEN first_week AND last_day;

    DELETE FROM mart.sms_bad_numbers old USING (
        SELECT * FROM mart.sms_bad_numbers WHERE month = for_month AND site_id = for_site
        EXCEPT SELECT * FROM unnest(bad)
    ) gone
    WHERE old.month = for_month AND old.site_id = for_site AND old.reason = gone.reason;
    INSERT INTO mart.sms_bad_numbers
    SELECT * FROM unnest(bad)
    EXCEPT SELECT * FROM mart.sms_bad_numbers WHERE month = for_month AND site_id = for_site;
END
$$;
COMMENT ON FUNCTION mart.write_month IS 'Make frequencies, reach and bad numbers of the month, and of the weeks it touches, equal to these; of all sites (0) there are frequencies alone.';
