CREATE OR REPLACE VIEW bi.sms_frequency WITH (security_barrier) AS
SELECT f.period, f.period_start, nullif(f.site_id, 0) AS site_id,
    CASE f.site_id WHEN 0 THEN 'all sites' ELSE a.label END AS account_label, f.dimension,
    CASE f.dimension WHEN 'template' THEN t.label ELSE nullif(f.member, '') END AS member,
    CASE f.dimension WHEN 'template' THEN f.member::uuid END AS template_id,
    f.frequency, CASE f.frequency WHEN 5 THEN '5+' ELSE f.frequency::text END AS frequency_label,
    f.recipients, f.messages, f.period_start AS day, 'calltouch:' || nullif(f.site_id, 0) AS account_key,
    CASE f.dimension WHEN 'template' THEN f.site_id || ':' || f.member END AS template_key
FROM mart.sms_frequency f
LEFT JOIN mart.account a ON a.site_id = f.site_id
LEFT JOIN mart.template t ON f.dimension = 'template' AND t.site_id = f.site_id AND t.template_id::text = f.member;

COMMENT ON VIEW bi.sms_frequency IS 'How many people were sent 1, 2, 3, 4 or 5 and more SMS in a month or week: by site and over all sites, of all, and by category, campaign and template. Every query names one period, one dimension, and either sites or all sites (site_id IS NULL); then recipients add up over frequency to the people reached, and over nothing else. Who is held to accounts sees no row over all sites. Source: Calltouch.';
COMMENT ON COLUMN bi.sms_frequency.period IS 'month, or week (ISO: Monday to Sunday).';
COMMENT ON COLUMN bi.sms_frequency.period_start IS 'First day of the period in the site''s time zone.';
COMMENT ON COLUMN bi.sms_frequency.site_id IS 'Calltouch site; NULL: over all sites, each person once.';
COMMENT ON COLUMN bi.sms_frequency.account_label IS 'Name given by the user, or else the account itself; all sites, where site_id is NULL.';
COMMENT ON COLUMN bi.sms_frequency.dimension IS 'What is counted apart: all, category, campaign or template; over all sites all and campaign.';
COMMENT ON COLUMN bi.sms_frequency.member IS 'Its name: the category, the campaign, the template''s label; NULL: all.';
COMMENT ON COLUMN bi.sms_frequency.template_id IS 'The template; NULL: another dimension.';
COMMENT ON COLUMN bi.sms_frequency.frequency IS 'SMS that each of them was sent: 1 to 4; 5: five or more.';
COMMENT ON COLUMN bi.sms_frequency.frequency_label IS 'The same as text: 1, 2, 3, 4, 5+.';
COMMENT ON COLUMN bi.sms_frequency.recipients IS 'Distinct recipients. SMS whose number the vendor does not tell are left out.';
COMMENT ON COLUMN bi.sms_frequency.messages IS 'SMS that they were sent.';
COMMENT ON COLUMN bi.sms_frequency.day IS 'The same as period_start, under the name that all facts share: joins to bi.date_day.';
COMMENT ON COLUMN bi.sms_frequency.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101; NULL: over all sites.';
COMMENT ON COLUMN bi.sms_frequency.template_key IS 'Site and template in one, as in bi.template; NULL: another dimension.';

SELECT mart.publish('bi.sms_frequency', 'warehouse_bi', 'site');
