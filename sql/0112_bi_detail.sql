-- SMS one by one have a schema of their own: a reader of bi may read each view of it.

CREATE SCHEMA bi_detail AUTHORIZATION warehouse_owner;

SET ROLE warehouse_owner;

COMMENT ON SCHEMA bi_detail IS 'SMS one by one, pseudonyms in place of numbers, for warehouse_bi_detail. Pseudonymous personal data.';
GRANT USAGE ON SCHEMA bi_detail TO warehouse_bi_detail;

DROP VIEW IF EXISTS bi.sms_detail;
DROP FUNCTION IF EXISTS mart.own_sms_detail(name, date);
DROP VIEW IF EXISTS mart.all_sms_detail;

RESET ROLE;
