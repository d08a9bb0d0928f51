CREATE OR REPLACE VIEW bi.date_day AS
SELECT day, year, quarter, month, month_name, iso_week, iso_year, iso_week_number, iso_weekday,
    weekday_name, is_weekend, same_day_last_year
FROM mart.date_day;

COMMENT ON VIEW bi.date_day IS 'The calendar, one row a day, 2012 to 2045.';
COMMENT ON COLUMN bi.date_day.day IS 'Calendar day.';
COMMENT ON COLUMN bi.date_day.year IS 'Calendar year.';
COMMENT ON COLUMN bi.date_day.quarter IS 'Quarter, 1 to 4.';
COMMENT ON COLUMN bi.date_day.month IS 'First day of the month.';
COMMENT ON COLUMN bi.date_day.month_name IS 'Month in English.';
COMMENT ON COLUMN bi.date_day.iso_week IS 'Monday of the ISO week.';
COMMENT ON COLUMN bi.date_day.iso_year IS 'Year that the ISO week belongs to.';
COMMENT ON COLUMN bi.date_day.iso_week_number IS 'ISO week, 1 to 53.';
COMMENT ON COLUMN bi.date_day.iso_weekday IS 'Weekday, 1 is Monday.';
COMMENT ON COLUMN bi.date_day.weekday_name IS 'Weekday in English.';
COMMENT ON COLUMN bi.date_day.is_weekend IS 'Saturday or Sunday.';
COMMENT ON COLUMN bi.date_day.same_day_last_year IS 'The same weekday 52 weeks earlier, for comparisons year over year.';
GRANT SELECT ON bi.date_day TO warehouse_bi;
