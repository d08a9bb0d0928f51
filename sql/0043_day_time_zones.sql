-- In which time zone a day's rows were dated: a zone that was set anew afterwards can be told by it.

SET ROLE warehouse_owner;

ALTER TABLE ops.day_state ADD COLUMN time_zone text;
UPDATE ops.day_state d SET time_zone = a.time_zone FROM mart.account a
WHERE a.vendor = split_part(d.source, '_', 1) AND a.account = d.account;
COMMENT ON COLUMN ops.day_state.time_zone IS 'Time zone (tz database name) whose calendar day it was when it was loaded; NULL: not known.';
COMMENT ON COLUMN ops.day_state.extraction_id IS 'The extraction whose rows stand; what an extraction of a lower number answered steps back.';
COMMENT ON COLUMN ops.day_state.observed_at IS 'When the vendor was asked for what stands, UTC instant. It orders nothing: extraction_id does.';

RESET ROLE;
