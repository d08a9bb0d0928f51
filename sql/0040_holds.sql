-- What a held answer would change (ops.day_state.held_…): counts alone, so that a person can look
-- before taking it.

SET ROLE warehouse_owner;

ALTER TABLE ops.day_state
    ADD COLUMN held_kinds text[],
    ADD COLUMN held_extraction_id bigint,
    ADD COLUMN held_at timestamptz,
    ADD COLUMN held_figures json;
COMMENT ON COLUMN ops.day_state.held IS 'Why a newer answer was held back, in words that go on after "it": it would lose too many rows, or can no longer be read; NULL: none is.';
COMMENT ON COLUMN ops.day_state.held_kinds IS 'The options that take the held answer: shrink (--accept-shrink), rejects (--accept-rejects). NULL: none is held, or one from before this column was (shrink).';
COMMENT ON COLUMN ops.day_state.held_extraction_id IS 'The extraction whose answer is held back. NULL: none is.';
COMMENT ON COLUMN ops.day_state.held_at IS 'When it was last held back, UTC instant. NULL: none is.';
COMMENT ON COLUMN ops.day_state.held_figures IS 'What the held answer would change: an object of figures (rows, values of a column, sums, rejects by reason), each a list of what stands and what would stand. Counts alone, no personal data. NULL: none is held.';

COMMENT ON COLUMN bi.data_status.is_held IS 'Whether a newer answer was held back, because it would lose too many rows or can no longer be read; the old figures stand.';

RESET ROLE;
