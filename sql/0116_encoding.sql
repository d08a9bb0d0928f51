-- By what code and settings a load encoded its rows: equal pages make equal rows where that is equal.

SET ROLE warehouse_owner;

ALTER TABLE ops.load_receipt ADD COLUMN encoding text;
COMMENT ON COLUMN ops.load_receipt.encoding IS 'Fingerprint of the code, the key of pseudonyms and the time zone that the rows were encoded with. A load whose pages and fingerprint are those of the rows that stand need not encode them again. NULL: not known, or rows depend on more than that.';

RESET ROLE;
