-- Receipts whose records do not add up, of which there should be none: status looks for those of days
-- that stand, and would read every receipt to find none.

SET ROLE warehouse_owner;

CREATE INDEX load_receipt_unequal ON ops.load_receipt (receipt_id)
    WHERE rows_received <> rows_inserted + rows_updated + rows_unchanged + rows_rejected;
