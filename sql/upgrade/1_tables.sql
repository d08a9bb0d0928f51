-- The way into the baseline from the schemas before it (revisions 0038 to 0047 of their own numbering), first
-- part: tables. Each statement leaves alone what a later one of those schemas has already; comments are taken
-- from the files of the baseline. Functions and views follow from their files, then rows (2_rows.sql), all in
-- one transaction. Nothing here rewrites a table.

SET ROLE warehouse_owner;

ALTER TABLE ops.day_state
    ADD COLUMN IF NOT EXISTS held_kinds text[],
    ADD COLUMN IF NOT EXISTS held_extraction_id bigint,
    ADD COLUMN IF NOT EXISTS held_at timestamptz,
    ADD COLUMN IF NOT EXISTS held_figures json,
    ADD COLUMN IF NOT EXISTS time_zone text;

ALTER TABLE warehouse.calltouch_sms
    ALTER COLUMN phone DROP NOT NULL,
    ALTER COLUMN recipient DROP NOT NULL,
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN status_detail DROP NOT NULL,
    ALTER COLUMN message DROP NOT NULL,
    ALTER COLUMN segments DROP NOT NULL;

ALTER TABLE warehouse.tellody_activity
    ALTER COLUMN sms_sent DROP NOT NULL,
    ALTER COLUMN email_sent DROP NOT NULL,
    ALTER COLUMN downloads DROP NOT NULL,
    ALTER COLUMN optouts DROP NOT NULL,
    ALTER COLUMN url_clicks DROP NOT NULL,
    ALTER COLUMN vouchers_viewed DROP NOT NULL;

ALTER TABLE warehouse.trust_campaign_statistics
    ALTER COLUMN total DROP NOT NULL,
    ALTER COLUMN sent DROP NOT NULL,
    ALTER COLUMN pending DROP NOT NULL,
    ALTER COLUMN failed DROP NOT NULL,
    ALTER COLUMN received DROP NOT NULL,
    ALTER COLUMN pressed DROP NOT NULL,
    ALTER COLUMN closed DROP NOT NULL,
    ALTER COLUMN unknown DROP NOT NULL;

ALTER TABLE mart.sms_day ALTER COLUMN segments DROP NOT NULL;
ALTER TABLE mart.template ADD COLUMN IF NOT EXISTS same_as uuid;
CREATE INDEX IF NOT EXISTS template_same_as ON mart.template (site_id, same_as) WHERE same_as IS NOT NULL;

-- From the instant of its first migration, so that a copy of an earlier schema has the same.
ALTER TABLE ops.privacy
    ADD COLUMN IF NOT EXISTS warehouse_id uuid,
    ADD COLUMN IF NOT EXISTS erasures bigint NOT NULL DEFAULT 0;
UPDATE ops.privacy SET
    warehouse_id = (SELECT md5(extract(epoch FROM min(m.applied_at))::text)::uuid FROM ops.migration m),
    erasures = (SELECT coalesce(max(e.erasure_id), 0) FROM ops.erasure e)
WHERE warehouse_id IS NULL;
ALTER TABLE ops.privacy ALTER COLUMN warehouse_id SET NOT NULL;

ALTER TABLE ops.suppression_applied
    ADD COLUMN IF NOT EXISTS system_identifier bigint,
    ADD COLUMN IF NOT EXISTS database_oid oid;

-- What was loaded before this column was counts as told to Dagster.
ALTER TABLE ops.load_receipt ADD COLUMN IF NOT EXISTS reported_at timestamptz DEFAULT now();
ALTER TABLE ops.load_receipt ALTER COLUMN reported_at DROP DEFAULT;
CREATE INDEX IF NOT EXISTS load_receipt_unreported ON ops.load_receipt (source, day)
    WHERE reported_at IS NULL AND run_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS ops.manual_act (
    act_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acted_at timestamptz NOT NULL DEFAULT now(),
    verb text NOT NULL,
    about text,
    run_id text,
    login text NOT NULL DEFAULT session_user,
    os_user text NOT NULL,
    host text NOT NULL,
    code_version text NOT NULL
);
GRANT SELECT, INSERT ON ops.manual_act TO warehouse_loader;
ALTER TABLE ops.erasure ADD COLUMN IF NOT EXISTS act_id bigint REFERENCES ops.manual_act;

RESET ROLE;

-- Everybody may call pg_control_system() unless an administrator took that away.
DO $$
BEGIN
    IF has_function_privilege('warehouse_owner', 'pg_control_system()', 'EXECUTE') THEN
        RETURN;
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT EXECUTE ON FUNCTION pg_control_system() TO warehouse_owner;
    ELSE
        RAISE NOTICE 'warehouse_owner may not call pg_control_system(): a dump restored on another server is known less surely.';
    END IF;
END
$$;
