-- The marts: what is counted. SMS: what 50 million rows of warehouse.calltouch_sms come down to.
--
-- Grain and key stand with each table. Counts of one table add up over every column of its key,
-- except where the comment says otherwise. The all-zero template_id stands for '(rare)': texts that
-- fewer than 20 recipients of a site had, whose words could tell who they were meant for.

SET ROLE warehouse_owner;

CREATE TABLE mart.template (
    site_id bigint NOT NULL,
    template_id uuid NOT NULL,
    masked_text text,
    guessed_category text NOT NULL,
    label text NOT NULL,
    category text NOT NULL,
    campaign text,
    published_at timestamptz DEFAULT now(),
    names_masked boolean NOT NULL DEFAULT false,
    same_as uuid,
    PRIMARY KEY (site_id, template_id)
);
CREATE INDEX template_same_as ON mart.template (site_id, same_as) WHERE same_as IS NOT NULL;
COMMENT ON TABLE mart.template IS 'Texts that at least 20 distinct recipients of a site had, variable parts masked, and a row (rare) for all others of the site. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.template.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.template.template_id IS 'Pseudonym of the masked text; all zeros: (rare); zeros and a 1: (no text), the vendor tells none.';
COMMENT ON COLUMN mart.template.masked_text IS 'The text with digits, links, e-mails, mixed tokens and codes masked; NULL: no longer kept.';
COMMENT ON COLUMN mart.template.guessed_category IS 'Category guessed from the text where the user gave none.';
COMMENT ON COLUMN mart.template.label IS 'Name given by the user, or else the masked text.';
COMMENT ON COLUMN mart.template.category IS 'Category given by the user, or else the guess; rare: the (rare) row.';
COMMENT ON COLUMN mart.template.campaign IS 'Campaign given by the user; NULL: none.';
COMMENT ON COLUMN mart.template.published_at IS 'When the 20th recipient was seen, UTC instant; NULL: the (rare) row.';
COMMENT ON COLUMN mart.template.names_masked IS 'Whether the text went through the masking of first names.';
COMMENT ON COLUMN mart.template.same_as IS 'The template of the site that is shown in place of this one, since both have the same text; NULL: it is shown itself.';

CREATE TABLE mart.template_label (
    template_id uuid PRIMARY KEY,
    label text,
    category text,
    campaign text
);
COMMENT ON TABLE mart.template_label IS 'Names that the user gave to templates. Source: the user''s CSV.';
COMMENT ON COLUMN mart.template_label.template_id IS 'Template named.';
COMMENT ON COLUMN mart.template_label.label IS 'Name of the template; NULL: none given.';
COMMENT ON COLUMN mart.template_label.category IS 'Category, such as code, service or marketing; NULL: none given.';
COMMENT ON COLUMN mart.template_label.campaign IS 'Campaign; NULL: none given.';

CREATE TABLE mart.rare_template (
    site_id bigint NOT NULL,
    template_id uuid NOT NULL,
    recipients integer[] NOT NULL,
    last_seen_on date NOT NULL,
    PRIMARY KEY (site_id, template_id)
);
COMMENT ON TABLE mart.rare_template IS 'Templates that fewer than 20 distinct recipients of a site had so far: the tally that decides when they may be shown. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.rare_template.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.rare_template.template_id IS 'Pseudonym of the masked text.';
COMMENT ON COLUMN mart.rare_template.recipients IS 'The last 32 bits of each distinct recipient''s pseudonym, at most 19.';
COMMENT ON COLUMN mart.rare_template.last_seen_on IS 'Last sending day on which it was loaded: what has not come again for long may be forgotten.';

CREATE TABLE mart.sms_day (
    sent_on date NOT NULL,
    site_id bigint NOT NULL,
    template_id uuid NOT NULL,
    country text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL,
    segments integer,
    repeats integer NOT NULL,
    PRIMARY KEY (sent_on, site_id, template_id, country, outcome, reason)
);
COMMENT ON TABLE mart.sms_day IS 'SMS by sending day, site, template, country, outcome and reason. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_day.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN mart.sms_day.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_day.template_id IS 'Template; all zeros: (rare); zeros and a 1: (no text).';
COMMENT ON COLUMN mart.sms_day.country IS 'Country of the number, ISO 3166-1 alpha-2; unknown; none: the vendor tells no number.';
COMMENT ON COLUMN mart.sms_day.outcome IS 'delivered, failed, pending or undetermined.';
COMMENT ON COLUMN mart.sms_day.reason IS 'Why, as a short code; none where there is no reason to give.';
COMMENT ON COLUMN mart.sms_day.messages IS 'SMS.';
COMMENT ON COLUMN mart.sms_day.segments IS 'Segments that they took; NULL: (no text), not known.';
COMMENT ON COLUMN mart.sms_day.repeats IS 'SMS among them that equal an earlier one in number, second and text.';

CREATE TABLE mart.sms_hour (
    sent_on date NOT NULL,
    site_id bigint NOT NULL,
    hour smallint NOT NULL,
    category text NOT NULL,
    outcome text NOT NULL,
    messages integer NOT NULL,
    PRIMARY KEY (sent_on, site_id, hour, category, outcome)
);
COMMENT ON TABLE mart.sms_hour IS 'SMS by sending day and hour, site, category and outcome. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_hour.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN mart.sms_hour.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_hour.hour IS 'Hour of the day in the site''s time zone, 0 to 23.';
COMMENT ON COLUMN mart.sms_hour.category IS 'Category of the template, or rare.';
COMMENT ON COLUMN mart.sms_hour.outcome IS 'delivered, failed, pending or undetermined.';
COMMENT ON COLUMN mart.sms_hour.messages IS 'SMS.';

CREATE TABLE mart.sms_maturity (
    sent_on date NOT NULL,
    observed_on date NOT NULL,
    site_id bigint NOT NULL,
    outcome text NOT NULL,
    messages integer NOT NULL,
    turned_final integer NOT NULL,
    hours_to_final double precision NOT NULL,
    PRIMARY KEY (sent_on, observed_on, site_id, outcome)
);
COMMENT ON TABLE mart.sms_maturity IS 'How a sending day stood on each day that the vendor was asked about it. Does not add up over observed_on. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_maturity.sent_on IS 'Sending day in the site''s time zone.';
COMMENT ON COLUMN mart.sms_maturity.observed_on IS 'Day of asking, in the same zone; several on one day: the last.';
COMMENT ON COLUMN mart.sms_maturity.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_maturity.outcome IS 'delivered, failed, pending or undetermined, as it was then.';
COMMENT ON COLUMN mart.sms_maturity.messages IS 'SMS of the outcome, as it was then.';
COMMENT ON COLUMN mart.sms_maturity.turned_final IS 'Those of them that had been seen unfinished before and were first seen final on observed_on.';
COMMENT ON COLUMN mart.sms_maturity.hours_to_final IS 'Hours from sending to that first final sight, added up over turned_final.';

CREATE TABLE mart.sms_reach (
    period text NOT NULL,
    period_start date NOT NULL,
    site_id bigint NOT NULL,
    category text NOT NULL,
    recipients integer NOT NULL,
    recipients_4plus integer NOT NULL,
    messages integer NOT NULL,
    PRIMARY KEY (period, period_start, site_id, category)
);
COMMENT ON TABLE mart.sms_reach IS 'Distinct recipients by month or week, site and category. Does not add up over any column. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_reach.period IS 'month, or week (ISO: Monday to Sunday).';
COMMENT ON COLUMN mart.sms_reach.period_start IS 'First day of the period in the site''s time zone.';
COMMENT ON COLUMN mart.sms_reach.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_reach.category IS 'Category of the template, rare, or all.';
COMMENT ON COLUMN mart.sms_reach.recipients IS 'Distinct recipients.';
COMMENT ON COLUMN mart.sms_reach.recipients_4plus IS 'Those of them with four messages or more in the period.';
COMMENT ON COLUMN mart.sms_reach.messages IS 'SMS that they had.';

CREATE TABLE mart.sms_bad_numbers (
    month date NOT NULL,
    site_id bigint NOT NULL,
    reason text NOT NULL,
    recipients integer NOT NULL,
    messages_wasted integer NOT NULL,
    PRIMARY KEY (month, site_id, reason)
);
COMMENT ON TABLE mart.sms_bad_numbers IS 'Recipients whose SMS failed twice or more for one reason within a month. Recipients do not add up. Source: warehouse.calltouch_sms.';
COMMENT ON COLUMN mart.sms_bad_numbers.month IS 'First day of the month, in the site''s time zone.';
COMMENT ON COLUMN mart.sms_bad_numbers.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.sms_bad_numbers.reason IS 'Why the SMS failed, as a short code.';
COMMENT ON COLUMN mart.sms_bad_numbers.recipients IS 'Recipients with two or more failures for this reason in the month.';
COMMENT ON COLUMN mart.sms_bad_numbers.messages_wasted IS 'Their failures after the first: what dropping the number would have saved.';

CREATE TYPE mart.sms_cell AS (
    sent_on date, from_instant timestamptz, country text, template_id uuid, outcome text,
    reason text, recipient uuid, sample text, messages integer, segments integer, repeats integer,
    turned_final integer, hours_to_final double precision
);
COMMENT ON TYPE mart.sms_cell IS 'SMS of an hour that are equal in all that the marts tell apart; recipient and a sample text only for templates not yet public.';

-- The one fact across vendors: what each vendor can say of a day, and nothing it cannot. A row exists
-- exactly where the day was loaded. NULL: the vendor does not report it; 0: it reported none. The view in
-- bi adds the days that were not loaded.
CREATE TABLE mart.messaging_day (
    day date NOT NULL,
    vendor text NOT NULL,
    account text NOT NULL,
    channel text NOT NULL,
    attempted bigint,
    accepted bigint,
    delivered bigint,
    failed bigint,
    pending bigint,
    undetermined bigint,
    engaged bigint,
    opted_out bigint,
    dismissed bigint,
    PRIMARY KEY (day, vendor, account, channel)
);
COMMENT ON TABLE mart.messaging_day IS 'Messages by vendor, account, day and channel, one row for each loaded day. Source: the tables of schema warehouse.';
COMMENT ON COLUMN mart.messaging_day.day IS 'Day in the account''s time zone.';
COMMENT ON COLUMN mart.messaging_day.vendor IS 'calltouch, tellody or trust.';
COMMENT ON COLUMN mart.messaging_day.account IS 'Calltouch site, Tellody account label or Trust company.';
COMMENT ON COLUMN mart.messaging_day.channel IS 'sms, email, push or unattributed.';
COMMENT ON COLUMN mart.messaging_day.attempted IS 'Messages that the vendor was told to send.';
COMMENT ON COLUMN mart.messaging_day.accepted IS 'Messages handed over, arrival unknown.';
COMMENT ON COLUMN mart.messaging_day.delivered IS 'Messages that arrived.';
COMMENT ON COLUMN mart.messaging_day.failed IS 'Messages that will not arrive.';
COMMENT ON COLUMN mart.messaging_day.pending IS 'Messages without an end yet, as last told.';
COMMENT ON COLUMN mart.messaging_day.undetermined IS 'Messages whose end the vendor does not know.';
COMMENT ON COLUMN mart.messaging_day.engaged IS 'Events of engagement; not people.';
COMMENT ON COLUMN mart.messaging_day.opted_out IS 'Opt-outs begun.';
COMMENT ON COLUMN mart.messaging_day.dismissed IS 'Messages closed by the reader.';

CREATE TABLE mart.stale (
    stale_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL,
    month date NOT NULL,
    day date
);
CREATE INDEX stale_by_site ON mart.stale (site_id, month);
COMMENT ON TABLE mart.stale IS 'What is still to be counted afresh: a month''s reach and bad numbers, or a day. A queue; equal rows mean the same.';
COMMENT ON COLUMN mart.stale.stale_id IS 'Identity of the entry.';
COMMENT ON COLUMN mart.stale.site_id IS 'Calltouch site.';
COMMENT ON COLUMN mart.stale.month IS 'First day of the month.';
COMMENT ON COLUMN mart.stale.day IS 'Day whose additive marts are stale too; NULL: the month''s distinct counts alone.';

-- Every table that carries an account stands under FORCE ROW LEVEL SECURITY; no setting of a session
-- takes part.
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['template', 'sms_day', 'sms_hour', 'sms_maturity', 'sms_reach',
        'sms_bad_numbers', 'messaging_day']
    LOOP
        EXECUTE format('ALTER TABLE mart.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', one);
        EXECUTE format('CREATE POLICY visible_accounts ON mart.%I USING (mart.sees_all())', one);
    END LOOP;
END
$$;

RESET ROLE;
