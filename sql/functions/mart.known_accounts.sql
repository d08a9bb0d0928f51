CREATE OR REPLACE FUNCTION mart.known_accounts() RETURNS TABLE (vendor text, account text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.vendor, a.account FROM mart.account a ORDER BY 1, 2;
END;
COMMENT ON FUNCTION mart.known_accounts IS 'Every account that was ever loaded: what the user may name.';
GRANT EXECUTE ON FUNCTION mart.known_accounts TO warehouse_loader;
