-- The argument has a name: without one pg_dump writes a body that cannot be restored.
CREATE OR REPLACE FUNCTION mart.split_address(masked text, OUT head text, OUT tail text)
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT part[1], part[2] FROM regexp_match(masked,
        '^(\{name\}|[А-ЯЁA-Z][А-ЯЁA-Zа-яёa-z-]+(?: [А-ЯЁA-Z][А-ЯЁA-Zа-яёa-z-]+){0,2})(,.*)$') AS part;
END;
COMMENT ON FUNCTION mart.split_address IS 'Splits a text that begins with one to three capitalised words and a comma before the comma; else NULLs.';
