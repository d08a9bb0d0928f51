"""What a database is made of, as sorted lines: two databases of equal lines are of one schema.

Owners, rights, comments and settings are told with each thing. Rights are sorted, since they stand in the order
in which they were given. Months of a table are left out: which there are depends on the rows.
"""

from __future__ import annotations

from dagster_project.warehouse.connection import Warehouse

SCHEMAS = ("raw", "warehouse", "ops", "mart", "bi", "bi_detail", "bi_pii", "public")
LINES = """
WITH ours AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = ANY (%(schemas)s)),
    months AS (SELECT inhrelid AS oid FROM pg_inherits)
SELECT concat_ws(' | ', 'schema', nspname, pg_get_userbyid(nspowner), {nspacl}, obj_description(oid, 'pg_namespace'))
FROM ours
UNION ALL
SELECT concat_ws(' | ', 'relation', c.oid::regclass, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), {relacl},
    'options ' || coalesce(c.reloptions::text, '-'), 'rls ' || c.relrowsecurity, c.relforcerowsecurity,
    'partition ' || coalesce(pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), '-'),
    'view ' || CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END, obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind <> 'i' AND c.oid NOT IN (TABLE months)
UNION ALL
SELECT concat_ws(' | ', 'column', a.attrelid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'default ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-'),
    'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage,
    'collation ' || a.attcollation::regcollation, 'options ' || coalesce(a.attoptions::text, '-'), {attacl},
    col_description(a.attrelid, a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'c')
JOIN ours ON ours.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid NOT IN (TABLE months)
UNION ALL
SELECT concat_ws(' | ', 'constraint', k.conrelid::regclass, k.conname, k.contype, k.convalidated, pg_get_constraintdef(k.oid),
    obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k JOIN ours ON ours.oid = k.connamespace WHERE k.conrelid NOT IN (TABLE months)
UNION ALL
SELECT concat_ws(' | ', 'index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisprimary)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ours ON ours.oid = c.relnamespace WHERE i.indrelid NOT IN (TABLE months)
UNION ALL
SELECT concat_ws(' | ', 'policy', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p
UNION ALL
SELECT concat_ws(' | ', 'trigger', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN ours ON ours.oid = c.relnamespace WHERE NOT t.tgisinternal
UNION ALL
SELECT concat_ws(' | ', 'function', p.oid::regprocedure, pg_get_userbyid(p.proowner), {proacl}, pg_get_functiondef(p.oid),
    obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
UNION ALL
SELECT concat_ws(' | ', 'type', t.oid::regtype, t.typtype, pg_get_userbyid(t.typowner), obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN ours ON ours.oid = t.typnamespace LEFT JOIN pg_type e ON e.typarray = t.oid
WHERE coalesce(e.typrelid, t.typrelid) NOT IN (TABLE months)
UNION ALL
SELECT concat_ws(' | ', 'default rights', pg_get_userbyid(d.defaclrole), d.defaclnamespace, d.defaclobjtype, {defaclacl})
FROM pg_default_acl d
UNION ALL
SELECT concat_ws(' | ', 'database', pg_get_userbyid(d.datdba), {datacl}) FROM pg_database d
WHERE d.datname = current_database()
UNION ALL
SELECT concat_ws(' | ', 'setting', s.setrole::regrole, s.setconfig) FROM pg_db_role_setting s
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT concat_ws(' | ', 'storage', s.parent, s.parameters) FROM ops.partition_storage s
ORDER BY 1
"""
RIGHTS = (
    "(SELECT 'rights ' || string_agg(r::text, ' ' ORDER BY r::text) FROM unnest(coalesce({acl})) r)"
)
# Rights that nobody changed are not written down.
UNSAID = {
    "nspacl": "acldefault('n', nspowner)",
    "relacl": "acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner)",
    "proacl": "acldefault('f', p.proowner)",
    "datacl": "acldefault('d', d.datdba)",
}


def catalog_of(warehouse: Warehouse) -> list[str]:
    """Tables, columns, types, defaults, constraints, indexes, policies, functions, views and their kind."""
    names = ("nspacl", "relacl", "attacl", "proacl", "defaclacl", "datacl")
    said = {name: ", ".join(filter(None, (name, UNSAID.get(name)))) for name in names}
    query = LINES.format(**{name: RIGHTS.format(acl=acl) for name, acl in said.items()})
    with warehouse.connect_admin() as connection:
        rows = connection.execute(query.encode(), {"schemas": list(SCHEMAS)}).fetchall()
    return [str(row[0]) for row in rows]
