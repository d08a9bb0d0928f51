-- Of a whole month each row would be read and counted once more. What has rows is asked of a mart that
-- each load writes along with its rows; a site counted later has all sites counted after it, too.
CREATE OR REPLACE FUNCTION mart.frequency_of_only_site(for_month date) RETURNS mart.sms_frequency[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first_week date := mart.monday_of(for_month);
    last_day date := (for_month + interval '1 month')::date - 1;
    sites bigint[] := ARRAY(
        SELECT DISTINCT d.site_id FROM mart.sms_day d
        WHERE d.sent_on >= first_week AND d.sent_on < mart.monday_of(last_day) + 7
    );
BEGIN
    IF cardinality(sites) <> 1 THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT (f.period, f.period_start, 0, f.dimension, f.member, f.frequency, f.recipients, f.messages)::mart.sms_frequency
        FROM mart.sms_frequency f
        WHERE f.site_id = sites[1] AND f.dimension IN ('all', 'campaign')
          AND (f.period = 'month' AND f.period_start = for_month
               OR f.period = 'week' AND f.period_start BETWEEN first_week AND last_day)
    );
END
$$;
COMMENT ON FUNCTION mart.frequency_of_only_site IS 'The frequencies of all sites in a month, and the weeks it touches, where one site alone has rows: its own. NULL: there are several sites, or none.';
