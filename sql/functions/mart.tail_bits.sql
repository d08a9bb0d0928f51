CREATE OR REPLACE FUNCTION mart.tail_bits(pseudonym uuid) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || right(pseudonym::text, 8))::bit(32)::integer;
COMMENT ON FUNCTION mart.tail_bits IS 'The last 32 bits of a pseudonym: enough to distinguish 20 recipients, too few to identify one.';
