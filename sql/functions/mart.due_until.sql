-- Inlined into the views that ask it. monitoring/lateness.py decides by the same rule: a test holds one against the other.
CREATE OR REPLACE FUNCTION mart.due_until(in_zone text, at timestamptz) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
RETURN ((at - interval '6 hours') AT TIME ZONE in_zone)::date - 1;
COMMENT ON FUNCTION mart.due_until IS 'The newest day of a time zone that is due at an instant: a day is due six hours after its end, when the nights could have loaded it.';
GRANT EXECUTE ON FUNCTION mart.due_until TO warehouse_bi;
