-- The way into the baseline, second part: rows, once functions and views are today's. What each of the earlier
-- revisions did to rows is done where it was not applied.

SET ROLE warehouse_owner;

-- 0041: texts that are shown have one id each, by today's masking. The next load sees to it, as to every text
-- that did not go through it yet: rows and figures are left as they are here.
UPDATE mart.template t SET names_masked = false
WHERE t.masked_text IS NOT NULL AND t.template_id NOT IN (mart.rare_id(), mart.no_text_id())
  AND NOT EXISTS (SELECT FROM ops.migration m WHERE m.revision = '0041');

-- 0043: the time zone that days were dated in.
UPDATE ops.day_state d SET time_zone = a.time_zone FROM mart.account a
WHERE a.vendor = split_part(d.source, '_', 1) AND a.account = d.account
  AND NOT EXISTS (SELECT FROM ops.migration m WHERE m.revision = '0043');

-- 0045: the mark by which a restored dump is known. Each of those migrations was a transaction of its own.
-- Where two of their rows were written by one, a restore wrote them, and the mark may stand in a dump.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM ops.migration m WHERE m.revision = '0045')
       AND EXISTS (SELECT FROM ops.suppression_applied a WHERE a.xmin::text::bigint = a.written_by)
       AND (SELECT count(DISTINCT m.xmin::text) = count(*) FROM ops.migration m
            WHERE m.revision ~ '^00[0-9]{2}$') THEN
        PERFORM ops.suppression_was_applied();
    END IF;
END
$$;

-- 0046: what a held reader may see.
DO $$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN SELECT p.polrelid FROM pg_policy p WHERE p.polname = 'visible_accounts' LOOP
        EXECUTE format('ALTER POLICY visible_accounts ON %s USING (mart.sees_all())', guarded);
    END LOOP;
END
$$;

-- One bookkeeping: the numbers of those schemas make room for the files of the baseline.
DROP TABLE ops.schema_version;
DELETE FROM ops.migration WHERE revision ~ '^00[0-9]{2}$';

RESET ROLE;
