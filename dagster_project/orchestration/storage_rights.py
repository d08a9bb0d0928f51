"""Which rights a login has in Dagster's storage, and one sentence for those that it lacks.

Dagster itself finds out in the middle of a run, event by event. So all that it will need is looked at before:
the schema, each of its tables, and the sequences that number their rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

from dagster_project.errors import SettingsError
from dagster_project.text import remedies
from dagster_project.text.wording import shorten
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_row

PARTS = (RunStorageSqlMetadata, SqlEventLogStorageMetadata, ScheduleStorageSqlMetadata)
VERSION_TABLE = "alembic_version"
TABLES = (VERSION_TABLE, *(name for part in PARTS for name in part.tables))
SHOWN = 3

ON_SCHEMA = """
SELECT current_user, current_database(), has_schema_privilege('public', 'USAGE'),
    has_schema_privilege('public', 'CREATE'),
    (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()),
    (SELECT pg_get_userbyid(relowner) FROM pg_class
     WHERE relname = 'alembic_version' AND relnamespace = 'public'::regnamespace)
"""
EXISTING = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname = ANY (%s)
"""
LACKING = """
WITH of_dagster AS (
    SELECT c.oid, c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
), needed AS (
    SELECT t.relname, p.name AS privilege, p.place,
        has_table_privilege(t.oid, p.name) AS is_given
    FROM of_dagster t, LATERAL (VALUES ('SELECT', 1), ('INSERT', 2), ('UPDATE', 3), ('DELETE', 4))
        AS p (name, place)
    -- Alembic's own table is changed by migrate alone.
    WHERE t.relname <> 'alembic_version' OR p.name = 'SELECT'
    UNION ALL
    SELECT s.relname, 'USAGE', 5,
        CASE WHEN s.relkind = 'S' THEN has_sequence_privilege(s.oid, 'USAGE') END
    FROM of_dagster t JOIN pg_depend d ON d.refobjid = t.oid AND d.refclassid = 'pg_class'::regclass
        AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
)
SELECT privilege, array_agg(relname::text ORDER BY relname) FROM needed WHERE NOT is_given
GROUP BY privilege, place ORDER BY place
"""
NOT_OWN = """
SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
    AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1
"""


def refuse_closed_schema(connection: Connection) -> None:
    """
    Raises:
        SettingsError: the login may not even see what is in the schema of Dagster's tables.
    """
    user, database, may_use, _, owner, storage_owner = fetch_row(connection, ON_SCHEMA)
    if not may_use:
        raise _lacks(user, database, "USAGE on schema public", storage_owner or owner)


def refuse_lacking_rights(connection: Connection, also: Sequence[str] = ()) -> None:
    """See that the login may do all that Dagster does. ``also`` are tables that another program makes there.

    Raises:
        SettingsError: it may not; names the right, the database and the login.
    """
    user, database, _, may_create, _, owner = fetch_row(connection, ON_SCHEMA)
    lacking = connection.execute(LACKING, (list(TABLES),)).fetchall()
    if lacking:
        named = "; ".join(
            f"{', '.join(privileges)} on {_shortened(names)}"
            for names, privileges in _by_names(lacking).items()
        )
        raise _lacks(user, database, named, owner)
    known = {row[0] for row in connection.execute(EXISTING, (list(also),))}
    if not may_create and (to_make := sorted(set(also) - known)):
        raise _lacks(user, database, f"CREATE on schema public, for {_shortened(to_make)}", owner)


def missing_tables(connection: Connection) -> list[str]:
    """Tables of this version of Dagster that are yet to be made."""
    known = {row[0] for row in connection.execute(EXISTING, (list(TABLES),))}
    return sorted(set(TABLES) - known)


def refuse_to_make(connection: Connection) -> None:
    """See that the login may make what is missing, and change what is there.

    Raises:
        SettingsError: it may not; names the right, the database and the login.
    """
    user, database, _, may_create, owner, _ = fetch_row(connection, ON_SCHEMA)
    if not may_create and missing_tables(connection):
        raise _lacks(user, database, "CREATE on schema public", owner)
    others = connection.execute(NOT_OWN, (list(TABLES),)).fetchall()
    if others:
        raise SettingsError(
            f"Dagster's storage in database {database} belongs to {others[0][1]}, and {user} may not"
            f" change {_shortened([name for name, _ in others])}.",
            hint=f"sign in as {others[0][1]} (DAGSTER_URL).",
        )


def _by_names(lacking: Sequence[tuple[str, list[str]]]) -> dict[tuple[str, ...], list[str]]:
    """Privileges that lack on the same tables, together; Alembic's is named where it is the only one."""
    found: dict[tuple[str, ...], list[str]] = {}
    for privilege, names in lacking:
        others = tuple(name for name in names if name != VERSION_TABLE)
        found.setdefault(others or (VERSION_TABLE,), []).append(privilege)
    return found


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(shorten(names, SHOWN))


def _lacks(user: str, database: str, what: str, owner: str) -> SettingsError:
    return SettingsError(
        f"Dagster's storage in database {database} belongs to {owner}, and login {user} lacks a right"
        f" that Dagster needs: {what}.",
        hint=remedies.give_storage_rights(user, owner),
    )
