-- Schema mart: the small tables behind the views of bi; here those that name things.
--
-- Nobody but warehouse_owner holds a right in mart: the pipeline writes through functions that run
-- as their owner, readers read through the views of bi. Who may see whose accounts: ops.bi_grant.

SET ROLE warehouse_owner;

CREATE TABLE ops.bi_grant (
    role regrole NOT NULL,
    vendor text NOT NULL,
    account text,
    CONSTRAINT bi_grant_once UNIQUE NULLS NOT DISTINCT (role, vendor, account)
);
COMMENT ON TABLE ops.bi_grant IS 'Which accounts a BI role may see. A user that belongs to no role named here sees every account; one that does sees the accounts granted to its roles, and no others. Source: the administrator.';
COMMENT ON COLUMN ops.bi_grant.role IS 'Postgres role; its rows count for every user that is a member of it.';
COMMENT ON COLUMN ops.bi_grant.vendor IS 'Vendor granted: calltouch, tellody or trust.';
COMMENT ON COLUMN ops.bi_grant.account IS 'Account granted (bi.account.account); NULL: every account of the vendor.';

CREATE TABLE mart.account (
    vendor text NOT NULL,
    account text NOT NULL,
    site_id bigint UNIQUE,
    time_zone text NOT NULL,
    currency text,
    label text NOT NULL,
    PRIMARY KEY (vendor, account)
);
COMMENT ON TABLE mart.account IS 'Every vendor account that was ever loaded. Source: the pipeline''s settings; labels: the user''s CSV.';
COMMENT ON COLUMN mart.account.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN mart.account.account IS 'Calltouch site, Tellody account label or Trust company, as text.';
COMMENT ON COLUMN mart.account.site_id IS 'The same as a number, for Calltouch; NULL for the others.';
COMMENT ON COLUMN mart.account.time_zone IS 'Time zone whose calendar days the account''s days are (tz database name).';
COMMENT ON COLUMN mart.account.currency IS 'Currency of the account''s amounts; NULL: not set, unknown.';
COMMENT ON COLUMN mart.account.label IS 'Name given by the user, or else the account itself.';

CREATE TABLE mart.date_day (
    day date PRIMARY KEY,
    year smallint NOT NULL,
    quarter smallint NOT NULL,
    month date NOT NULL,
    month_name text NOT NULL,
    iso_week date NOT NULL,
    iso_year smallint NOT NULL,
    iso_week_number smallint NOT NULL,
    iso_weekday smallint NOT NULL,
    weekday_name text NOT NULL,
    is_weekend boolean NOT NULL,
    same_day_last_year date NOT NULL
);
INSERT INTO mart.date_day
SELECT d, extract(year FROM d), extract(quarter FROM d), date_trunc('month', d)::date,
    (ARRAY['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September',
        'October', 'November', 'December'])[extract(month FROM d)],
    date_trunc('week', d)::date, extract(isoyear FROM d), extract(week FROM d),
    extract(isodow FROM d),
    (ARRAY['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'])
        [extract(isodow FROM d)],
    extract(isodow FROM d) >= 6, d - 364
FROM generate_series(timestamp '2012-01-01', timestamp '2045-12-31', interval '1 day') AS s (at),
    LATERAL (SELECT at::date) AS day (d);
COMMENT ON TABLE mart.date_day IS 'The calendar, 2012 to 2045.';
COMMENT ON COLUMN mart.date_day.day IS 'Calendar day.';
COMMENT ON COLUMN mart.date_day.year IS 'Calendar year.';
COMMENT ON COLUMN mart.date_day.quarter IS 'Quarter, 1 to 4.';
COMMENT ON COLUMN mart.date_day.month IS 'First day of the month.';
COMMENT ON COLUMN mart.date_day.month_name IS 'Month in English.';
COMMENT ON COLUMN mart.date_day.iso_week IS 'Monday of the ISO week.';
COMMENT ON COLUMN mart.date_day.iso_year IS 'Year that the ISO week belongs to.';
COMMENT ON COLUMN mart.date_day.iso_week_number IS 'ISO week, 1 to 53.';
COMMENT ON COLUMN mart.date_day.iso_weekday IS 'Weekday, 1 is Monday.';
COMMENT ON COLUMN mart.date_day.weekday_name IS 'Weekday in English.';
COMMENT ON COLUMN mart.date_day.is_weekend IS 'Saturday or Sunday.';
COMMENT ON COLUMN mart.date_day.same_day_last_year IS 'The same weekday 52 weeks earlier, for comparisons year over year.';

CREATE TABLE mart.source_channel (
    source text NOT NULL,
    vendor text NOT NULL,
    channel text,
    tells_all_days boolean NOT NULL DEFAULT false,
    UNIQUE NULLS NOT DISTINCT (source, channel)
);
INSERT INTO mart.source_channel VALUES
    ('calltouch', 'calltouch', 'sms', false),
    ('tellody_activity', 'tellody', 'sms', false),
    ('tellody_activity', 'tellody', 'email', false),
    ('tellody_activity', 'tellody', 'unattributed', false),
    ('tellody_purchases', 'tellody', NULL, true),
    ('trust', 'trust', 'push', false);
COMMENT ON TABLE mart.source_channel IS 'What each source reports on.';
COMMENT ON COLUMN mart.source_channel.source IS 'Source, as in ops.day_state.';
COMMENT ON COLUMN mart.source_channel.vendor IS 'Its vendor.';
COMMENT ON COLUMN mart.source_channel.channel IS 'A channel of messages that it reports on; NULL: it reports on none.';
COMMENT ON COLUMN mart.source_channel.tells_all_days IS 'Whether each answer tells of every day up to its own: days without a row are then no gaps.';

RESET ROLE;
