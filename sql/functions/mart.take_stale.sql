-- A load adds a note to mart.stale; whoever works off the queue deletes the notes that it can see and then
-- counts, so the note of a load that commits meanwhile stays. Months that a long load has finished are
-- counted while it goes on, not all at its end.
CREATE OR REPLACE FUNCTION mart.take_stale(
    passed_only boolean DEFAULT false, finished bigint[] DEFAULT '{}'
)
RETURNS TABLE (of_site bigint, of_month date, of_days date[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    note record;
    is_busy boolean := false;
BEGIN
    FOR note IN
        SELECT s.site_id, s.month, max(s.stale_id) < max(max(s.stale_id)) OVER of_site AS is_passed
        FROM mart.stale s GROUP BY 1, 2
        WINDOW of_site AS (PARTITION BY s.site_id) ORDER BY min(s.stale_id)
    LOOP
        -- All sites (0) are counted once, after each of them.
        CONTINUE WHEN passed_only
            AND (NOT note.is_passed AND note.site_id <> ALL (finished) OR note.site_id = 0);
        IF NOT pg_try_advisory_xact_lock(hashtextextended('months of site ' || note.site_id, 0)) THEN
            is_busy := true;
            CONTINUE;
        END IF;
        WITH taken AS (
            DELETE FROM mart.stale s WHERE s.site_id = note.site_id AND s.month = note.month
            RETURNING s.day
        )
        SELECT note.site_id, note.month,
            coalesce(array_agg(DISTINCT t.day) FILTER (WHERE t.day IS NOT NULL), '{}')
        INTO of_site, of_month, of_days FROM taken t HAVING count(*) > 0;
        IF FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
    END LOOP;
    IF is_busy THEN
        of_site := NULL;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION mart.take_stale IS 'Take a month of a site out of the queue, and the days of it whose additive marts are stale; passed_only: no month that the site''s newest note is of, since more may come, but for sites that are finished. No row: nothing is left; a row of NULLs: what is left belongs to sites that other sessions are counting.';
GRANT EXECUTE ON FUNCTION mart.take_stale TO warehouse_loader;
