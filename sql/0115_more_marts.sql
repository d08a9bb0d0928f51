-- More that the stored rows answer: how often people were written to, over sites too; hours of templates; what
-- wasted SMS took; prices; whether a load found its day settled.

SET ROLE warehouse_owner;

ALTER TABLE ops.load_receipt ADD COLUMN settled boolean;
COMMENT ON COLUMN ops.load_receipt.settled IS 'Whether the day was settled by this load; NULL: loaded before this was kept.';

CREATE TABLE mart.sms_frequency (
    period text NOT NULL,
    period_start date NOT NULL,
    site_id bigint NOT NULL,
    dimension text NOT NULL,
    member text NOT NULL,
    frequency smallint NOT NULL,
    recipients integer NOT NULL,
    messages integer NOT NULL,
    PRIMARY KEY (period, period_start, site_id, dimension, member, frequency)
);
CREATE INDEX sms_frequency_by_site ON mart.sms_frequency (site_id, period_start);
COMMENT ON TABLE mart.sms_frequency IS 'How many people were sent how many SMS in a month or week, by site and over all of them. Recipients add up over frequency alone. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_frequency.period IS 'month, or week (ISO: Monday to Sunday).';
COMMENT ON COLUMN mart.sms_frequency.period_start IS 'First day of the period in the site''s time zone.';
COMMENT ON COLUMN mart.sms_frequency.site_id IS 'Calltouch site; 0: all sites, each person once.';
COMMENT ON COLUMN mart.sms_frequency.dimension IS 'What is counted apart: all, category, campaign or template; over all sites all and campaign.';
COMMENT ON COLUMN mart.sms_frequency.member IS 'The category, campaign or template_id; empty: all.';
COMMENT ON COLUMN mart.sms_frequency.frequency IS 'SMS that each of them was sent: 1 to 4; 5: five or more.';
COMMENT ON COLUMN mart.sms_frequency.recipients IS 'Distinct recipients.';
COMMENT ON COLUMN mart.sms_frequency.messages IS 'SMS that they were sent.';

CREATE TABLE mart.sms_template_hour (
    sent_on date NOT NULL,
    site_id bigint NOT NULL,
    template_id uuid NOT NULL,
    hour smallint NOT NULL,
    messages integer NOT NULL,
    delivered integer NOT NULL,
    failed integer NOT NULL,
    PRIMARY KEY (sent_on, site_id, template_id, hour)
);
COMMENT ON TABLE mart.sms_template_hour IS 'SMS by sending day, site, template and hour. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_template_hour.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN mart.sms_template_hour.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_template_hour.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN mart.sms_template_hour.hour IS 'Hour of the day in the site''s time zone, 0 to 23; -1: hours whose counts are below mart.folding.below, together.';
COMMENT ON COLUMN mart.sms_template_hour.messages IS 'SMS.';
COMMENT ON COLUMN mart.sms_template_hour.delivered IS 'Those of them that arrived.';
COMMENT ON COLUMN mart.sms_template_hour.failed IS 'Those of them that will not arrive.';

ALTER TABLE mart.sms_bad_numbers ADD COLUMN segments_wasted integer;
COMMENT ON COLUMN mart.sms_bad_numbers.segments_wasted IS 'Segments of messages_wasted; NULL: not counted yet.';

CREATE TABLE mart.sms_price (
    vendor text NOT NULL,
    account text,
    country text,
    per text NOT NULL CHECK (per IN ('segment', 'message')),
    price numeric(18, 6) NOT NULL CHECK (price >= 0),
    valid_from date NOT NULL,
    valid_to date NOT NULL DEFAULT 'infinity' CHECK (valid_to >= valid_from),
    currency text NOT NULL
);
COMMENT ON TABLE mart.sms_price IS 'What an SMS costs: the user''s price list, replaced as a whole by `warehouse labels`. Source: the user''s CSV.';
COMMENT ON COLUMN mart.sms_price.vendor IS 'calltouch or tellody.';
COMMENT ON COLUMN mart.sms_price.account IS 'Account that it holds for; NULL: every one that has no line of its own.';
COMMENT ON COLUMN mart.sms_price.country IS 'Country of the number, as in bi.sms_day; NULL: every one that has no line of its own.';
COMMENT ON COLUMN mart.sms_price.per IS 'What the price is of: segment or message.';
COMMENT ON COLUMN mart.sms_price.price IS 'Price of one, in the currency.';
COMMENT ON COLUMN mart.sms_price.valid_from IS 'First day that it holds for.';
COMMENT ON COLUMN mart.sms_price.valid_to IS 'Last day that it holds for.';
COMMENT ON COLUMN mart.sms_price.currency IS 'Currency, ISO 4217.';

CREATE TABLE mart.folding (
    below integer NOT NULL CHECK (below >= 0)
);
CREATE UNIQUE INDEX folding_once ON mart.folding ((true));
INSERT INTO mart.folding VALUES (0);
COMMENT ON TABLE mart.folding IS 'Below which count a day''s templates and hours are not told apart. One row. Source: the administrator, by mart.fold_below().';
COMMENT ON COLUMN mart.folding.below IS 'SMS of a day and template, or of a day and hour of a template or category; 0: all are told apart.';

DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['sms_frequency', 'sms_template_hour', 'sms_price']
    LOOP
        EXECUTE format('ALTER TABLE mart.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', one);
        EXECUTE format('CREATE POLICY visible_accounts ON mart.%I USING (mart.sees_all())', one);
    END LOOP;
END
$$;

-- What is counted over all sites has people of an account that is gone.
CREATE TRIGGER count_all_sites AFTER DELETE ON mart.account
    FOR EACH ROW WHEN (old.site_id IS NOT NULL) EXECUTE FUNCTION mart.count_all_sites();

-- Reach is made of what mart.count_frequency counts; what called this is made anew.
DROP FUNCTION IF EXISTS mart.count_reach(bigint, date) CASCADE;

-- Days that are counted already are counted once more, after the next load.
INSERT INTO mart.stale (site_id, month, day)
SELECT DISTINCT site_id, date_trunc('month', sent_on)::date, sent_on FROM mart.sms_day;

RESET ROLE;
