"""Apply the files of functions and views, in the caller's transaction.

Each is replaced in place, so that its grants and its dependents stay. If Postgres cannot replace it (a view
loses a column, a function has other arguments), it is dropped with its dependents, and all of them are
created again from their files. An object that is not from our files is never dropped: an error names it.

Readers wait only for the end of the transaction: the views that it touches are locked before anything is
changed, the outermost first, by waits shorter than ``deadlock_timeout``, so that no reader becomes the
victim of a deadlock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import errors as pg

from dagster_project.errors import DatabaseFailed, SettingsError
from dagster_project.text import remedies
from dagster_project.warehouse.connection import BI_ROLES, DAGSTER, LOADER, Connection
from dagster_project.warehouse.pg_errors import PASSING, describe
from dagster_project.warehouse.schema.bookkeeping import delete_record, read_applied, record_applied
from dagster_project.warehouse.schema.migration_files import Definition, SqlFile, SqlFiles

OWNER = "warehouse_owner"
OUR_ROLES = (OWNER, LOADER, DAGSTER, *BI_ROLES)
# Errors by which Postgres refuses to replace an object: it is dropped and created again.
NOT_REPLACEABLE = (
    pg.InvalidTableDefinition,  # columns of a view
    pg.InvalidFunctionDefinition,  # result or names of arguments
    pg.AmbiguousFunction,  # other arguments: now there are two
)
LOCK_SECONDS = 3
FUNCTIONS = """
SELECT oid, oid::regprocedure::text, xmin::text FROM pg_proc
WHERE pronamespace = to_regnamespace(split_part(%(name)s, '.', 1)) AND proname = split_part(%(name)s, '.', 2)
"""
SHORT_WAITS = """
SELECT set_config('lock_timeout',
    (extract(epoch FROM current_setting('deadlock_timeout')::interval) * 900)::integer::text, true)
"""
# These views and those built on them, the outermost first.
VIEWS = """
WITH RECURSIVE above (view, height) AS (
    SELECT c.oid, 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND n.nspname || '.' || c.relname = ANY (%s)
    UNION
    SELECT r.ev_class, a.height + 1 FROM above a
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.view
        AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> a.view
)
SELECT a.view::regclass::text FROM above a JOIN pg_class c ON c.oid = a.view
WHERE c.relkind = 'v' AND pg_get_userbyid(c.relowner) = %s
GROUP BY a.view ORDER BY max(a.height) DESC, a.view
"""
# What DROP … CASCADE may drop as well, each with its name if it may be one of ours.
OBJECTS = """
SELECT catalog, oid, name, pg_describe_object(catalog, oid, 0) FROM (
    SELECT 'pg_class'::regclass::oid AS catalog, c.oid, c.relnamespace::regnamespace AS schema,
        c.relnamespace::regnamespace || '.' || c.relname AS name
    FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.pronamespace::regnamespace, p.pronamespace::regnamespace || '.' || p.proname
    FROM pg_proc p
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid, c.relnamespace::regnamespace, c.relnamespace::regnamespace || '.' || c.relname
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, 0::oid::regnamespace, NULL FROM pg_policy p
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid, c.connamespace::regnamespace, NULL FROM pg_constraint c
    UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, 0::oid::regnamespace, NULL FROM pg_attrdef d
) AS object WHERE schema::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""
# Rights that an administrator gave to roles of his own.
GRANTS = """
SELECT format('GRANT %%s%%s ON %%s TO %%s%%s', g.privilege_type, given.columns, given.object,
    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
    CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM (
    SELECT c.relacl AS acl, '' AS columns, c.oid::regclass::text AS object, c.relnamespace AS schema
    FROM pg_class c WHERE c.relkind = 'v'
    UNION ALL
    SELECT a.attacl, format(' (%%I)', a.attname), c.oid::regclass::text, c.relnamespace
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'v'
    UNION ALL
    SELECT p.proacl, '', 'FUNCTION ' || p.oid::regprocedure, p.pronamespace FROM pg_proc p
) AS given, aclexplode(given.acl) AS g
WHERE given.schema::regnamespace::text = ANY (%(schemas)s) AND pg_get_userbyid(g.grantee) <> ALL (%(ours)s)
"""
SCHEMAS = ("ops", "mart", "bi", "bi_detail", "bi_pii")


def apply_definitions(
    connection: Connection, files: SqlFiles, due: Sequence[Definition], removed: Sequence[str] = ()
) -> None:
    """Apply these files, drop what ``removed`` names (``functions/schema.name``), and record both.

    Raises:
        DatabaseFailed: a file fails. SettingsError: an object that is not ours depends on one to be dropped.
    """
    gone = {revision.split("/")[1] for revision in removed}
    lock_views(connection, [definition.name for definition in due] + sorted(gone))
    connection.execute("SET LOCAL client_min_messages = warning")
    connection.execute(f"SET LOCAL ROLE {OWNER}")
    grants = grants_of_others(connection)
    _apply_all(connection, files, {definition.name for definition in due})
    for name in gone:
        _apply_all(connection, files, _drop(connection, files, name) - {name})
    for statement in grants - grants_of_others(connection):
        connection.execute(statement.encode())
    connection.execute("RESET ROLE")
    connection.execute("RESET client_min_messages")
    for definition in due:
        record_applied(connection, definition)
    for revision in removed:
        delete_record(connection, revision)


def remake_dropped(connection: Connection, files: SqlFiles, grants: set[str]) -> None:
    """Create again, with their grants, the functions and views that a migration dropped to change a table."""
    exists = {name for name, _ in _objects(connection).values()}
    here = read_applied(connection)
    gone = [d for d in files.definitions if d.name not in exists and d.revision in here]
    if gone:
        apply_definitions(connection, files, gone)
        for statement in grants - grants_of_others(connection):
            connection.execute(statement.encode())


def grants_of_others(connection: Connection) -> set[str]:
    """The GRANT statements by which the administrator's own roles may use functions and views."""
    given = {"schemas": list(SCHEMAS), "ours": list(OUR_ROLES)}
    return {str(row[0]) for row in connection.execute(GRANTS, given).fetchall()}


def lock_views(connection: Connection, names: Sequence[str]) -> None:
    """Lock these views, their halves, and all views built on them, within seconds or not at all.

    It uses an ALTER that changes nothing: LOCK TABLE would lock the underlying tables too.
    """
    connection.execute(SHORT_WAITS)
    connection.execute(f"SET LOCAL statement_timeout = '{LOCK_SECONDS}s'")
    wanted = [half for name in names for half in (name, *_half_names(name))]
    views = connection.execute(VIEWS, (wanted, OWNER)).fetchall()
    changes = "".join(f"ALTER VIEW {view} OWNER TO {OWNER}; " for (view,) in views)
    try:
        connection.execute(f"DO $$ BEGIN {changes} END $$".encode())
    except pg.QueryCanceled:
        raise pg.LockNotAvailable("views in use") from None
    connection.execute("SET LOCAL statement_timeout = 0")


def run_file(connection: Connection, file: SqlFile) -> None:
    """Run a file's statements.

    Raises:
        DatabaseFailed: it fails; the error names file and line, and quotes no values. Transient errors are
            raised as they are.
    """
    try:
        connection.execute(file.text.encode())
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(PASSING):
            raise
        raise DatabaseFailed(
            f"sql/{file}.sql, line {_line_number(file.text, error)}: {describe(error)}"
        ) from error


def _apply_all(connection: Connection, files: SqlFiles, names: set[str]) -> None:
    """Apply these files in order, and the files of what had to be dropped on the way, which come later."""
    for definition in files.definitions:
        if definition.name in names:
            names |= _apply(connection, files, definition)


def _apply(connection: Connection, files: SqlFiles, definition: Definition) -> set[str]:
    """Replace an object, or drop and create it; return the names of what was dropped with it."""
    before = _functions(connection, definition)
    try:
        with connection.transaction():
            run_file(connection, definition)
        if not before.items() & _functions(connection, definition).items():
            return set()
    except DatabaseFailed as error:
        if not isinstance(error.__cause__, NOT_REPLACEABLE):
            raise
    dropped = _drop(connection, files, definition.name)
    run_file(connection, definition)
    return dropped


def _functions(connection: Connection, definition: Definition) -> Mapping[int, str]:
    """The functions of this name by oid, each with its last writer's transaction."""
    if definition.kind != "FUNCTION":
        return {}
    rows = connection.execute(FUNCTIONS, {"name": definition.name}).fetchall()
    return {int(oid): str(writer) for oid, _, writer in rows}


def _drop(connection: Connection, files: SqlFiles, name: str) -> set[str]:
    """Drop an object with its dependents; return the names of the files that create them.

    Raises:
        SettingsError: an object that is not from our files depends on it.
    """
    makers = {definition.name: definition.name for definition in files.definitions} | {name: name}
    makers |= {half: maker for maker in makers for half in _half_names(maker)}
    before = _objects(connection)
    for dropped in (name, *_half_names(name)):
        _drop_named(connection, dropped)
    left = _objects(connection)
    lost = [about for key, about in before.items() if key not in left]
    foreign = sorted(description for maker, description in lost if maker not in makers)
    if foreign:
        raise SettingsError(
            f"{', '.join(foreign)}: built on {name}, which has to be dropped and made again.",
            hint=remedies.MAKE_AGAIN,
        )
    return {makers[maker] for maker, _ in lost if maker is not None}


def _drop_named(connection: Connection, name: str) -> None:
    query = (
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relkind = 'v' AND relnamespace::regnamespace || '.' || relname = %s"
    )
    for (view,) in connection.execute(query, (name,)).fetchall():
        connection.execute(f"DROP VIEW {view} CASCADE".encode())
    for _, signature, _ in connection.execute(FUNCTIONS, {"name": name}).fetchall():
        connection.execute(f"DROP FUNCTION {signature} CASCADE".encode())


def _objects(connection: Connection) -> dict[tuple[int, int], tuple[str | None, str]]:
    rows = connection.execute(OBJECTS.encode()).fetchall()
    return {(int(catalog), int(oid)): (name, about) for catalog, oid, name, about in rows}


def _half_names(name: str) -> tuple[str, ...]:
    """The two views that ``mart.publish`` makes of a view for BI."""
    schema, short = name.split(".")
    return (f"mart.all_{short}", f"mart.own_{short}") if schema.startswith("bi") else ()


def _line_number(text: str, error: psycopg.Error) -> int | str:
    position = error.diag.statement_position
    return text.count("\n", 0, int(position)) + 1 if position else "unknown"
