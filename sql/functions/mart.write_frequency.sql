CREATE OR REPLACE FUNCTION mart.write_frequency(
    for_site bigint, for_month date, frequencies mart.sms_frequency[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first_week date := mart.monday_of(for_month);
    last_day date := (for_month + interval '1 month')::date - 1;
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
END
$$;
COMMENT ON FUNCTION mart.write_frequency IS 'Make the frequencies of the month, and of the weeks it touches, equal to these.';
