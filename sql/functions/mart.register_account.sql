CREATE OR REPLACE FUNCTION mart.register_account(
    of_vendor text, of_account text, in_zone text, in_currency text DEFAULT NULL
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO mart.account AS a (vendor, account, site_id, time_zone, currency, label)
    SELECT of_vendor, of_account,
        CASE WHEN of_vendor = 'calltouch' THEN of_account::bigint END, in_zone, in_currency,
        of_account
    WHERE NOT EXISTS (
        SELECT FROM mart.account old
        WHERE old.vendor = of_vendor AND old.account = of_account AND old.time_zone = in_zone
          AND old.currency IS NOT DISTINCT FROM coalesce(in_currency, old.currency))
    ON CONFLICT (vendor, account) DO UPDATE
        SET time_zone = excluded.time_zone, currency = coalesce(excluded.currency, a.currency);
    INSERT INTO mart.template
    SELECT a.site_id, mart.rare_id(), '(rare)', 'rare', '(rare)', 'rare', NULL, NULL
    FROM mart.account a
    WHERE a.vendor = of_vendor AND a.account = of_account AND a.site_id IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM mart.template t
        WHERE t.site_id = a.site_id AND t.template_id = mart.rare_id())
    ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION mart.register_account IS 'Make an account known to bi, or correct its time zone and currency.';
GRANT EXECUTE ON FUNCTION mart.register_account TO warehouse_loader;
