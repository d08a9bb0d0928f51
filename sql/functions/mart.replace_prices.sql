CREATE OR REPLACE FUNCTION mart.replace_prices(
    vendors text[], accounts text[], countries text[], pers text[], prices numeric[],
    firsts date[], lasts date[], currencies text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before mart.sms_price[] := ARRAY(SELECT p FROM mart.sms_price p);
    changed bigint;
BEGIN
    DELETE FROM mart.sms_price;
    INSERT INTO mart.sms_price
    SELECT g.vendor, g.account, g.country, g.per, g.price, g.first, coalesce(g.last, 'infinity'), g.currency
    FROM unnest(vendors, accounts, countries, pers, prices, firsts, lasts, currencies)
        AS g (vendor, account, country, per, price, first, last, currency);
    SELECT count(*) INTO changed FROM (
        (SELECT * FROM unnest(before) EXCEPT SELECT * FROM mart.sms_price)
        UNION ALL
        (SELECT * FROM mart.sms_price EXCEPT SELECT * FROM unnest(before))
    ) differing;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mart.replace_prices IS 'Make the price list of SMS this one; answers how many lines went or came.';
GRANT EXECUTE ON FUNCTION mart.replace_prices TO warehouse_loader;
