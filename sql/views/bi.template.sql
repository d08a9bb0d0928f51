CREATE OR REPLACE VIEW bi.template WITH (security_barrier) AS
SELECT t.site_id, a.label AS account_label, t.template_id,
    coalesce(t.masked_text, '(text no longer kept)') AS template_text, t.label AS template_label,
    t.category, t.campaign, (t.published_at AT TIME ZONE 'UTC')::date AS published_on,
    'calltouch:' || t.site_id AS account_key, t.site_id || ':' || t.template_id AS template_key
FROM mart.template t
JOIN mart.visible_account a ON a.site_id = t.site_id
WHERE t.same_as IS NULL;

COMMENT ON VIEW bi.template IS 'Texts of SMS, variable parts masked, one row a site and template: join by template_key, or by site_id and template_id; by template_id alone a join multiplies. A text stands here only once 20 distinct recipients of the site had it; all others are one row (rare). Source: Calltouch; label, category and campaign: the user''s CSV.';
COMMENT ON COLUMN bi.template.site_id IS 'Calltouch site.';
COMMENT ON COLUMN bi.template.account_label IS 'Name given by the user, or else the account itself.';
COMMENT ON COLUMN bi.template.template_id IS 'Identity of the template, one for one text of a site: a keyed hash of the text as it is shown, or was when it was first made public. All zeros: (rare); zeros and a 1: (no text), SMS whose text the vendor does not tell.';
COMMENT ON COLUMN bi.template.template_text IS 'The text with digits, links, e-mails, mixed letter-digit tokens, the word after код/пароль/code and the name that it addresses masked.';
COMMENT ON COLUMN bi.template.template_label IS 'Name given by the user, or else the text.';
COMMENT ON COLUMN bi.template.category IS 'Category given by the user; else code where the text seems to carry a one-time code, else unlabelled; rare: the (rare) row.';
COMMENT ON COLUMN bi.template.campaign IS 'Campaign given by the user; NULL: none.';
COMMENT ON COLUMN bi.template.published_on IS 'Day (UTC) on which the 20th recipient was loaded; rows of bi written before that stay (rare) until their day is loaded again. NULL: the (rare) row.';
COMMENT ON COLUMN bi.template.account_key IS 'Vendor and account in one, as in bi.account: calltouch:101. Joins a fact to bi.account, many rows to one.';
COMMENT ON COLUMN bi.template.template_key IS 'Site and template in one. One row of this view each; the facts by template have it.';

SELECT mart.publish('bi.template', 'warehouse_bi', 'site');
