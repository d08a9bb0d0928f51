-- warehouse.calltouch_sms: every SMS of a mailing, its status as the vendor last told it.
--
-- Room for what changes: a status matures in place where its page has a tenth left. With it, nearly all
-- updates of a rerun are HOT: they touch no index. The months of a first load are a tenth larger, and as
-- fast to write.

SET ROLE warehouse_owner;

CREATE TABLE warehouse.calltouch_sms (
    sent_on date NOT NULL,
    site_id bigint NOT NULL,
    sms_key uuid NOT NULL,
    occurrence integer NOT NULL CHECK (occurrence >= 1),
    sent_at timestamptz NOT NULL,
    phone text,
    phone_e164 text,
    country text,
    recipient uuid,
    status text,
    status_detail text,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'failed', 'pending', 'undetermined')),
    reason text,
    is_final boolean NOT NULL,
    message text,
    template_id uuid,
    segments smallint,
    content_hash bigint NOT NULL,
    first_loaded_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    final_seen_at timestamptz,
    PRIMARY KEY (sent_on, site_id, sms_key, occurrence)
) PARTITION BY RANGE (sent_on);
COMMENT ON TABLE warehouse.calltouch_sms IS 'Every SMS that Calltouch sent for a site, one row each, monthly partitions by sent_on. Personal data. Source: Calltouch, SMS results.';
COMMENT ON COLUMN warehouse.calltouch_sms.sent_on IS 'Day of sending in the site''s time zone (CALLTOUCH_TIMEZONE).';
COMMENT ON COLUMN warehouse.calltouch_sms.site_id IS 'Calltouch project (SiteId).';
COMMENT ON COLUMN warehouse.calltouch_sms.sms_key IS 'First 16 bytes of SHA-256 over phone, second and text as received: identity of the SMS. A phone or text that is NULL gives another key than an empty one. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.occurrence IS 'From 1: numbers SMS that are equal in phone, second and text; all of them are real.';
COMMENT ON COLUMN warehouse.calltouch_sms.sent_at IS 'Moment of sending, instant (vendor''s local second read in the site''s time zone; the first reading of a repeated hour).';
COMMENT ON COLUMN warehouse.calltouch_sms.phone IS 'Phone number as the vendor wrote it. NULL: the vendor said null, or left it out; the SMS is nobody''s, so phone_e164, country and recipient are NULL. (erased): the person asked for it; (reduced): older than PII_RETENTION_DAYS. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.phone_e164 IS 'Phone number in E.164; NULL where it is not a possible number, or there is none. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.country IS 'Country of the number, ISO 3166-1 alpha-2; NULL where unknown.';
COMMENT ON COLUMN warehouse.calltouch_sms.recipient IS 'Keyed pseudonym of the number (BLAKE2b with PII_HASH_KEY). NULL: phone is NULL; such an SMS counts as a message, and as no recipient. Pseudonymous personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.status IS 'smsStatus as received: waiting, unknown, sent, error, delivered. NULL: the vendor said null, or left it out; outcome is then undetermined, reason no_status, is_final false, whatever the detail. (reduced): another wording, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.calltouch_sms.status_detail IS 'smsStatusDetail as received, in Russian. NULL: the vendor said null, or left it out; the outcome then goes by status alone, and the reason of a failure is no_detail. (reduced): a wording that is not documented, older than PII_RETENTION_DAYS.';
COMMENT ON COLUMN warehouse.calltouch_sms.outcome IS 'delivered, failed, pending or undetermined, from status and detail.';
COMMENT ON COLUMN warehouse.calltouch_sms.reason IS 'Why it failed or is undetermined, as a short code; no_status and no_detail: the vendor says null; NULL where there is no reason to give.';
COMMENT ON COLUMN warehouse.calltouch_sms.is_final IS 'Whether the status will not change any more.';
COMMENT ON COLUMN warehouse.calltouch_sms.message IS 'Text of the SMS; characters Postgres cannot store are replaced. NULL: the vendor said null, or left it out; template_id and segments are then NULL. Personal data.';
COMMENT ON COLUMN warehouse.calltouch_sms.template_id IS 'Pseudonym of the text as bi shows it, its variable parts and the names in it masked; equal for SMS of one template; NULL where message is NULL, or templates are switched off.';
COMMENT ON COLUMN warehouse.calltouch_sms.segments IS 'SMS segments the text takes (70/67 characters with Cyrillic, 160/153 in GSM-7; a pair, such as € or an emoji, is not split between two): the cost driver. NULL: message is NULL.';
COMMENT ON COLUMN warehouse.calltouch_sms.content_hash IS 'xxh3 hash of the row''s columns: tells a rerun whether the row changed.';
COMMENT ON COLUMN warehouse.calltouch_sms.first_loaded_at IS 'When the row was first loaded, UTC instant.';
COMMENT ON COLUMN warehouse.calltouch_sms.changed_at IS 'When the row last changed, UTC instant.';
COMMENT ON COLUMN warehouse.calltouch_sms.final_seen_at IS 'When the vendor was first seen to answer with a final status, UTC instant; NULL: not yet.';
GRANT SELECT, INSERT, UPDATE, DELETE ON warehouse.calltouch_sms TO warehouse_loader;

INSERT INTO ops.partition_storage (parent, parameters)
VALUES ('warehouse.calltouch_sms'::regclass, 'fillfactor = 90');

RESET ROLE;
