-- Schema mart: the small tables behind the views of bi, and who may see whose.
--
-- Nobody but warehouse_owner holds a right in mart: the pipeline writes through functions that run
-- as their owner, readers read through the views of bi. Every table that carries an account stands
-- under FORCE ROW LEVEL SECURITY, so a view of bi answers only with accounts that both the signed-in
-- user and the role it works as may see (mart.visible_account). No setting of a session takes part.

CREATE SCHEMA IF NOT EXISTS mart AUTHORIZATION warehouse_owner;
REVOKE ALL ON SCHEMA mart FROM PUBLIC;
GRANT USAGE ON SCHEMA mart TO warehouse_loader;

SET ROLE warehouse_owner;

COMMENT ON SCHEMA mart IS 'Small tables behind the views of bi, kept current by every load. Nobody reads it directly.';

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

-- A role is held to ops.bi_grant when a row there names it or a role it belongs to. The user that
-- signed in counts beside the role it works as: SET ROLE to a wider role gains nothing.
CREATE VIEW mart.visible_account WITH (security_barrier) AS
SELECT a.vendor, a.account, a.site_id, a.time_zone, a.currency, a.label
FROM mart.account a
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_roles who
    WHERE who.rolname IN (current_user, session_user) AND NOT who.rolsuper
      AND EXISTS (
          SELECT FROM ops.bi_grant g
          JOIN pg_catalog.pg_roles named ON named.oid = g.role
          WHERE pg_has_role(who.oid, named.oid, 'MEMBER'))
      AND NOT EXISTS (
          SELECT FROM ops.bi_grant g
          JOIN pg_catalog.pg_roles named ON named.oid = g.role
          WHERE pg_has_role(who.oid, named.oid, 'MEMBER')
            AND g.vendor = a.vendor AND coalesce(g.account, a.account) = a.account));
COMMENT ON VIEW mart.visible_account IS 'The accounts that the user at hand may see.';
COMMENT ON COLUMN mart.visible_account.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN mart.visible_account.account IS 'Calltouch site, Tellody account label or Trust company.';
COMMENT ON COLUMN mart.visible_account.site_id IS 'Calltouch site as a number; NULL for other vendors.';
COMMENT ON COLUMN mart.visible_account.time_zone IS 'Time zone of the account''s days.';
COMMENT ON COLUMN mart.visible_account.currency IS 'Currency of its amounts; NULL: unknown.';
COMMENT ON COLUMN mart.visible_account.label IS 'Name given by the user, or else the account itself.';

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

RESET ROLE;
