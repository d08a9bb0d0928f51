CREATE OR REPLACE FUNCTION mart.label_accounts(vendors text[], accounts text[], labels text[])
RETURNS TABLE (vendor text, account text, before text, after text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE mart.account a SET label = coalesce(given.label, a.account)
    FROM unnest(vendors, accounts, labels) AS given (vendor, account, label),
        mart.account was
    WHERE a.vendor = given.vendor AND a.account = given.account
      AND was.vendor = a.vendor AND was.account = a.account
      AND a.label <> coalesce(given.label, a.account)
    RETURNING a.vendor, a.account, was.label, a.label;
END;
COMMENT ON FUNCTION mart.label_accounts IS 'Set the labels of accounts; returns those that changed, with the label before and after.';
GRANT EXECUTE ON FUNCTION mart.label_accounts TO warehouse_loader;
