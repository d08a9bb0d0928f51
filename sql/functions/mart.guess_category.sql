CREATE OR REPLACE FUNCTION mart.guess_category(sample text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
    WHEN sample ~ '(^|[^а-яёА-ЯЁa-zA-Z])([Кк]од|КОД|[Пп]арол|ПАРОЛ|[Cc]ode|CODE)[^0-9]{0,40}[0-9]{4,8}'
      OR sample ~ '[0-9]{4,8}[^0-9а-яёА-ЯЁa-zA-Z]{1,5}(ваш |Ваш |your |Your )?([Кк]од|КОД|[Пп]арол|[Cc]ode)'
    THEN 'code' ELSE 'unlabelled' END;
COMMENT ON FUNCTION mart.guess_category IS 'code where the text seems to carry a one-time code, else unlabelled: a guess until the user names the template.';
