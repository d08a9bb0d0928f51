CREATE OR REPLACE FUNCTION mart.label_accounts(vendors text[], accounts text[], labels text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH named AS (
        UPDATE mart.account a SET label = coalesce(given.label, a.account)
        FROM unnest(vendors, accounts, labels) AS given (vendor, account, label)
        WHERE a.vendor = given.vendor AND a.account = given.account
          AND a.label <> coalesce(given.label, a.account)
        RETURNING 1
    )
    SELECT count(*) FROM named;
END;
COMMENT ON FUNCTION mart.label_accounts IS 'Set the labels of accounts; answers how many changed.';
GRANT EXECUTE ON FUNCTION mart.label_accounts TO warehouse_loader;
