-- What every view and column of bi means, and who may read it.

SET ROLE warehouse_owner;

COMMENT ON VIEW bi.date_day IS 'The calendar, one row a day, 2012 to 2045.';
COMMENT ON VIEW bi.account IS 'Every vendor account that was ever loaded. Source: the pipeline''s settings; labels: the user''s CSV.';
COMMENT ON COLUMN bi.account.account_label IS 'Name given by the user, or else the account itself.';

COMMENT ON VIEW bi.template IS 'Texts of SMS, variable parts masked, one row a site and template. A text stands here only once 20 distinct recipients of the site had it; all others are one row (rare). Source: Calltouch; label, category and campaign: the user''s CSV.';
COMMENT ON COLUMN bi.template.template_id IS 'Identity of the template: a keyed hash of the text as masked before names are; several may share one text. All zeros: (rare).';
COMMENT ON COLUMN bi.template.template_text IS 'The text with digits, links, e-mails, mixed letter-digit tokens, the word after код/пароль/code and the name that it addresses masked.';
COMMENT ON COLUMN bi.template.template_label IS 'Name given by the user, or else the text.';
COMMENT ON COLUMN bi.template.category IS 'Category given by the user; else code where the text seems to carry a one-time code, else unlabelled; rare: the (rare) row.';
COMMENT ON COLUMN bi.template.campaign IS 'Campaign given by the user; NULL: none.';
COMMENT ON COLUMN bi.template.published_on IS 'Day (UTC) on which the 20th recipient was loaded; rows of bi written before that stay (rare) until their day is loaded again. NULL: the (rare) row.';

COMMENT ON VIEW bi.messaging_day IS 'The fact across vendors: messages by day, vendor, account and channel. NULL: not reported; 0: reported as none; a day that was not loaded is a row of NULLs with loaded = false. delivery rate = sum(delivered) / sum(attempted_where_delivery_is_reported); final rate = sum(delivered) / sum(delivered + failed). Source: bi.sms_day, Tellody activity, Trust daily statistics.';
COMMENT ON COLUMN bi.messaging_day.day IS 'Calendar day in the account''s time zone: of sending (Calltouch), of the activity (Tellody), of the statistics (Trust).';
COMMENT ON COLUMN bi.messaging_day.channel IS 'sms, email, push, or unattributed (Tellody reports reactions without their channel).';
COMMENT ON COLUMN bi.messaging_day.time_zone IS 'Time zone of the day (tz database name).';
COMMENT ON COLUMN bi.messaging_day.loaded IS 'Whether the day was loaded. False: a gap, since the account''s first loaded day.';
COMMENT ON COLUMN bi.messaging_day.settled IS 'Whether the day''s figures no longer change. Rates of unsettled days are still rising.';
COMMENT ON COLUMN bi.messaging_day.attempted IS 'Messages that the vendor tried, or was told, to send. Calltouch: rows; Tellody: SMS_SENT, EMAIL_SENT; Trust: total.';
COMMENT ON COLUMN bi.messaging_day.accepted IS 'Messages handed over, arrival not known. Trust: sended; the others do not report it.';
COMMENT ON COLUMN bi.messaging_day.delivered IS 'Messages that arrived. Calltouch: outcome delivered; Trust: RECEIVED; Tellody does not report it.';
COMMENT ON COLUMN bi.messaging_day.failed IS 'Messages that will not arrive. Calltouch: outcome failed; Trust: fails; Tellody does not report it.';
COMMENT ON COLUMN bi.messaging_day.pending IS 'Messages without an end yet. Calltouch: outcome pending while the day is unsettled; Trust: pending.';
COMMENT ON COLUMN bi.messaging_day.undetermined IS 'Messages whose end is not known. Calltouch: unknown, and what was still pending when the day settled; Trust: UNKNOWN. For Calltouch attempted = delivered + failed + pending + undetermined.';
COMMENT ON COLUMN bi.messaging_day.engaged IS 'Events of engagement, not people. Tellody: clicked URLs + downloads + vouchers viewed (unattributed); Trust: PRESS_ACTION.';
COMMENT ON COLUMN bi.messaging_day.opted_out IS 'Opt-outs begun (Tellody, unattributed), not necessarily completed.';
COMMENT ON COLUMN bi.messaging_day.dismissed IS 'Messages that the reader closed (Trust: CLOSED).';
COMMENT ON COLUMN bi.messaging_day.attempted_where_delivery_is_reported IS 'attempted where the vendor reports delivered, else NULL: the denominator of a delivery rate over several vendors.';
COMMENT ON COLUMN bi.messaging_day.delivered_exceeds_attempted IS 'True where the vendor reports more delivered than attempted: the rate is above 1, shown as it is.';

COMMENT ON COLUMN bi.sms_day.template_label IS 'Name given by the user, or else the masked text; (rare): texts that fewer than 20 recipients of the site had.';
COMMENT ON COLUMN bi.sms_day.category IS 'Category of the template, as in bi.template.';
COMMENT ON COLUMN bi.sms_day.campaign IS 'Campaign of the template, given by the user; NULL: none.';
COMMENT ON COLUMN bi.sms_day.messages IS 'SMS. Of unsettled days the outcomes still change: see bi.messaging_day.settled.';
COMMENT ON COLUMN bi.sms_day.segments IS 'Segments that they took (70/67 characters with Cyrillic, 160/153 in GSM-7): the cost driver.';
COMMENT ON COLUMN bi.sms_hour.iso_weekday IS 'Weekday of sent_on, 1 is Monday.';
COMMENT ON COLUMN bi.sms_maturity.age_days IS 'Days from sent_on to observed_on.';
COMMENT ON COLUMN bi.sms_maturity.hours_to_final IS 'Hours from sending to the first poll that saw the SMS final, added up over turned_final (divide by it for the mean). SMS first seen final are left out: when they became so is not known.';
COMMENT ON VIEW bi.sms_reach IS 'Distinct recipients by month, site and category. Does not add up, over months, sites or categories: the row all counts each recipient once. Source: Calltouch.';

COMMENT ON VIEW bi.data_status IS 'Every day that should be loaded, by source and account: from the first loaded day to yesterday. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.data_status.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.data_status.day IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN bi.data_status.state IS 'settled (no longer changes), unsettled (loaded, read again until settled), or missing.';
COMMENT ON COLUMN bi.data_status.is_gap IS 'Whether the day is missing.';
COMMENT ON COLUMN bi.data_status.is_settled IS 'Whether the day no longer changes.';
COMMENT ON COLUMN bi.data_status.is_held IS 'Whether a newer answer was held back because it had shrunk suspiciously; the old figures stand.';
COMMENT ON COLUMN bi.data_status.rows IS 'Rows that stand for the day; NULL: not loaded.';
COMMENT ON COLUMN bi.data_status.asked_on IS 'Day on which the vendor was asked for what stands, in the account''s time zone.';

COMMENT ON VIEW bi.data_until IS 'How far the data of each source and account reaches: one row each. Source: the pipeline''s receipts.';
COMMENT ON COLUMN bi.data_until.source IS 'calltouch, tellody_activity, tellody_purchases or trust.';
COMMENT ON COLUMN bi.data_until.first_day IS 'First loaded day.';
COMMENT ON COLUMN bi.data_until.data_until IS 'Last loaded day.';
COMMENT ON COLUMN bi.data_until.settled_until IS 'Last day that no longer changes.';
COMMENT ON COLUMN bi.data_until.complete_until IS 'Last day before the first gap; data_until where there is none.';
COMMENT ON COLUMN bi.data_until.gap_days IS 'Days missing between the first loaded day and yesterday.';
COMMENT ON COLUMN bi.data_until.unsettled_days IS 'Days loaded whose figures still change.';
COMMENT ON COLUMN bi.data_until.held_days IS 'Days for which a newer answer was held back.';
COMMENT ON COLUMN bi.data_until.days_behind IS 'Days from data_until to yesterday, in the account''s time zone.';

COMMENT ON VIEW bi.tellody_activity_day IS 'Tellody''s totals a day: attempts, and events (not people). Which channel an event belongs to is not reported. Source: Tellody, UniqueCode report.';
COMMENT ON VIEW bi.credit_purchase IS 'Every purchase of Tellody credits. Credits are bought; their spending is in no API: there is no balance. Source: Tellody, PaymentHistory.';
COMMENT ON COLUMN bi.credit_purchase.currency IS 'Currency of the amounts (TELLODY_CURRENCY); NULL: not set, unknown.';
COMMENT ON COLUMN bi.credit_purchase.price_per_credit IS 'amount / credits, six decimals; NULL where no credits were bought.';
COMMENT ON COLUMN bi.credit_purchase.amount_so_far IS 'Amounts of the account added up to this purchase, from the first one loaded.';
COMMENT ON COLUMN bi.credit_purchase.credits_so_far IS 'Credits of the account added up to this purchase, from the first one loaded; not a balance.';
COMMENT ON VIEW bi.trust_day IS 'Trust''s figures of one day, where the vendor was proved to answer for single days. Source: Trust, statistics by company.';
COMMENT ON VIEW bi.trust_window IS 'Trust''s rolling figures of the seven days up to the day of asking. The windows overlap: never add them up. Source: Trust, statistics by company.';
COMMENT ON COLUMN bi.trust_window.asked_on IS 'Day of asking in the account''s time zone: the window''s last, up to the moment of asking.';

COMMENT ON VIEW bi.sms_detail IS 'SMS one by one, numbers as keyed pseudonyms, texts as templates: for warehouse_bi_detail. Pseudonymous personal data. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_detail.hour IS 'Hour of sending in the site''s time zone, 0 to 23.';
COMMENT ON COLUMN bi.sms_detail.template_id IS 'Template, as in bi.template; all zeros: (rare).';
COMMENT ON VIEW bi_pii.sms IS 'SMS one by one, unmasked: for warehouse_bi_pii. Personal data. Source: Calltouch.';

-- A column that a view passes on keeps the meaning it has where it comes from.
DO $$
DECLARE
    passed record;
BEGIN
    FOR passed IN
        SELECT format('%I.%I', n.nspname, v.relname) AS view, v.oid AS view_oid, column_of.attname,
            (SELECT col_description(s.oid, sa.attnum)
             FROM unnest(CASE
                    WHEN v.relname IN ('sms_detail', 'sms') THEN ARRAY['warehouse.calltouch_sms']
                    WHEN v.relname = 'tellody_activity_day' THEN ARRAY['warehouse.tellody_activity']
                    WHEN v.relname = 'credit_purchase' THEN ARRAY['warehouse.tellody_credit_purchase']
                    WHEN v.relname LIKE 'trust%' THEN ARRAY['warehouse.trust_campaign_statistics']
                    ELSE ARRAY['mart.' || v.relname] END || ARRAY['mart.account', 'bi.account'])
                    WITH ORDINALITY AS src (name, place)
             JOIN pg_class s ON s.oid = to_regclass(src.name)
             JOIN pg_attribute sa ON sa.attrelid = s.oid AND sa.attname = column_of.attname
             WHERE col_description(s.oid, sa.attnum) IS NOT NULL
             ORDER BY src.place LIMIT 1) AS meaning
        FROM pg_class v
        JOIN pg_namespace n ON n.oid = v.relnamespace AND n.nspname IN ('bi', 'bi_pii')
        JOIN pg_attribute column_of ON column_of.attrelid = v.oid AND column_of.attnum > 0
        WHERE v.relkind = 'v' AND col_description(v.oid, column_of.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', passed.view, passed.attname, passed.meaning);
    END LOOP;
    FOR passed IN
        SELECT format('%I.%I', n.nspname, v.relname) AS view,
            obj_description(to_regclass('mart.' || v.relname)) AS meaning
        FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace AND n.nspname = 'bi'
        WHERE v.relkind = 'v' AND obj_description(v.oid) IS NULL
    LOOP
        EXECUTE format('COMMENT ON VIEW %s IS %L', passed.view, passed.meaning);
    END LOOP;
END
$$;

GRANT SELECT ON bi.date_day, bi.account, bi.template, bi.sms_day, bi.sms_hour, bi.sms_reach,
    bi.sms_maturity, bi.sms_bad_numbers, bi.messaging_day, bi.data_status, bi.data_until,
    bi.tellody_activity_day, bi.credit_purchase, bi.trust_day, bi.trust_window TO warehouse_bi;
GRANT SELECT ON bi.sms_detail TO warehouse_bi_detail;
GRANT SELECT ON bi_pii.sms TO warehouse_bi_pii;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA mart FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mart.register_account, mart.refresh_sms, mart.observe_unchanged,
    mart.name_templates, mart.refresh_messaging, mart.take_stale, mart.mark_stale,
    mart.refresh_month, mart.renew_statistics, mart.recount, mart.label_accounts, mart.label_templates TO warehouse_loader;

RESET ROLE;
