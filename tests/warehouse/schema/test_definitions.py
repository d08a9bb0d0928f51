"""Functions and views: each in one file, applied again when the file changed, never missing to readers."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dagster_project.errors import DatabaseFailed, SettingsError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate, pending
from dagster_project.warehouse.schema.migration_files import read_files, sql_folder
from tests.support.catalog import catalog_of
from tests.warehouse.server.homes import wait_until

DEFINES = re.compile(r"^CREATE (?:OR REPLACE )?(FUNCTION|VIEW) ([\w.]+)", re.MULTILINE)
ANALYST = "definitions_test_analyst"


@pytest.fixture
def folder(server: Any, tmp_path: Path) -> Path:
    """A copy of ``sql/``, to change files of."""
    return Path(shutil.copytree(server.sql, tmp_path / "sql"))


@pytest.fixture
def analyst(warehouse: Warehouse) -> Iterator[str]:
    """A role of the administrator's own, with rights on one view and a view of its own on another."""
    with warehouse.connect_admin() as connection:
        connection.execute(f"DROP ROLE IF EXISTS {ANALYST}".encode())
        connection.execute(f"CREATE ROLE {ANALYST}; GRANT USAGE ON SCHEMA bi TO {ANALYST}".encode())
    yield ANALYST
    with warehouse.connect_admin() as connection:
        connection.execute(f"DROP OWNED BY {ANALYST} CASCADE; DROP ROLE {ANALYST}".encode())


def change(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / f"{file}.sql"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_each_function_and_view_is_defined_in_the_file_of_its_name_and_nowhere_else() -> None:
    folder = sql_folder()
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*.sql"):
        code = re.sub(r"--[^\n]*", "", path.read_text())
        for kind, name in DEFINES.findall(code):
            found.setdefault(name, []).append(f"{kind} {path.relative_to(folder)}")
    assert found == {
        definition.name: [f"{definition.kind} {definition.revision}.sql"]
        for definition in read_files().definitions
    }


@pytest.mark.both_servers
def test_the_database_has_the_functions_and_views_of_the_files_and_no_others(
    warehouse: Warehouse,
) -> None:
    with warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT pronamespace::regnamespace || '.' || proname FROM pg_proc WHERE pronamespace IN"
            " ('ops'::regnamespace, 'mart'::regnamespace, 'bi'::regnamespace, 'warehouse'::regnamespace)"
            " UNION ALL SELECT relnamespace::regnamespace || '.' || relname FROM pg_class"
            " WHERE relkind = 'v' AND relnamespace::regnamespace::text IN ('ops', 'mart', 'bi', 'bi_detail', 'bi_pii')"
        ).fetchall()
    names = {str(row[0]) for row in rows}
    files = {definition.name for definition in read_files().definitions}
    assert files <= names
    halves = names - files
    views = {
        name.split(".")[1] for name in files if name.startswith(("bi.", "bi_detail.", "bi_pii."))
    }
    assert halves == {
        f"mart.{half}_{view}" for half in ("all", "own") for view in views - {"date_day"}
    }


@pytest.mark.both_servers
def test_a_function_whose_file_changed_is_applied_again_and_nothing_else(
    warehouse: Warehouse, folder: Path
) -> None:
    before = writers(warehouse)
    change(folder, "functions/mart.guess_category", "ELSE 'unlabelled'", "ELSE 'other'")
    assert pending(warehouse, folder) == ["functions/mart.guess_category"]

    assert migrate(warehouse, folder=folder) == ["functions/mart.guess_category"]

    assert one(warehouse, "SELECT mart.guess_category('hello')") == "other"
    changed = {name for name, writer in writers(warehouse).items() if before[name] != writer}
    assert changed == {"mart.guess_category(text)", "functions/mart.guess_category"}
    assert migrate(warehouse, folder=folder) == []


@pytest.mark.both_servers
def test_a_column_more_at_the_end_of_a_view_changes_its_file_alone(
    warehouse: Warehouse, folder: Path, analyst: str
) -> None:
    build_on(warehouse, analyst)
    change(
        folder,
        "views/bi.sms_day",
        "d.site_id || ':' || d.template_id AS template_key\n",
        "d.site_id || ':' || d.template_id AS template_key, d.messages AS sent\n",
    )
    change(
        folder,
        "views/bi.sms_day",
        "\nSELECT mart.publish",
        "COMMENT ON COLUMN bi.sms_day.sent IS 'SMS.';\n\nSELECT mart.publish",
    )

    assert migrate(warehouse, folder=folder) == ["views/bi.sms_day"]

    assert columns(warehouse, "bi.sms_day")[-2:] == ["template_key", "sent"]
    assert columns(warehouse, "mart.all_sms_day")[-2:] == ["template_key", "sent"]
    assert one(warehouse, f"SELECT has_table_privilege('{analyst}', 'bi.sms_day', 'SELECT')")
    assert one(warehouse, "SELECT count(*) FROM public.of_theirs") == 0


@pytest.mark.both_servers
def test_a_column_in_the_middle_or_taken_away_makes_the_view_anew_with_the_rights_it_had(
    warehouse: Warehouse, folder: Path, analyst: str
) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(f"GRANT SELECT ON bi.sms_day TO {analyst} WITH GRANT OPTION".encode())
        connection.execute(f"GRANT SELECT (month) ON bi.sms_bad_numbers TO {analyst}".encode())
    change(
        folder,
        "views/bi.sms_day",
        "d.messages, d.segments",
        "d.messages AS sent, d.messages, d.segments",
    )
    change(
        folder,
        "views/bi.sms_day",
        "\nSELECT mart.publish",
        "COMMENT ON COLUMN bi.sms_day.sent IS 'SMS.';\n\nSELECT mart.publish",
    )
    change(folder, "views/bi.sms_bad_numbers", ",\n    b.messages_wasted", "")
    change(
        folder,
        "views/bi.sms_bad_numbers",
        "COMMENT ON COLUMN bi.sms_bad_numbers.messages_wasted",
        "--",
    )

    migrate(warehouse, folder=folder)

    assert columns(warehouse, "bi.sms_day")[10:12] == ["sent", "messages"]
    assert "messages_wasted" not in columns(warehouse, "bi.sms_bad_numbers")
    can = "SELECT has_table_privilege('{0}', 'bi.sms_day', 'SELECT WITH GRANT OPTION')"
    assert one(warehouse, can.format(analyst))
    assert one(
        warehouse,
        f"SELECT has_column_privilege('{analyst}', 'bi.sms_bad_numbers', 'month', 'SELECT')",
    )
    assert one(warehouse, "SELECT has_table_privilege('warehouse_bi', 'bi.sms_day', 'SELECT')")
    with warehouse.connect_admin() as connection:
        connection.execute(f"DROP OWNED BY {analyst}".encode())
    assert_like_a_fresh_one(warehouse, folder)


@pytest.mark.both_servers
def test_what_is_built_on_a_view_is_made_anew_with_it(warehouse: Warehouse, folder: Path) -> None:
    change(
        folder, "views/mart.expected_day", "SELECT s.source, s.vendor", "SELECT s.vendor, s.source"
    )

    assert migrate(warehouse, folder=folder) == ["views/mart.expected_day"]

    assert columns(warehouse, "mart.expected_day")[:2] == ["vendor", "source"]
    assert one(warehouse, "SELECT count(*) FROM bi.data_status") == 0
    assert_like_a_fresh_one(warehouse, folder)


@pytest.mark.both_servers
def test_a_function_of_other_arguments_takes_the_place_of_the_old_one(
    warehouse: Warehouse, folder: Path
) -> None:
    change(
        folder, "functions/mart.monday_of", "of_day date)", "of_day date, weeks integer DEFAULT 0)"
    )
    change(folder, "functions/ops.timeline", "RETURNS integer", "RETURNS bigint")

    migrate(warehouse, folder=folder)

    signatures = (
        "SELECT array_agg(oid::regprocedure::text) FROM pg_proc WHERE proname = 'monday_of'"
    )
    assert one(warehouse, signatures) == ["mart.monday_of(date,integer)"]
    assert one(warehouse, "SELECT pg_typeof(ops.timeline())::text") == "bigint"
    assert_like_a_fresh_one(warehouse, folder)


@pytest.mark.both_servers
def test_what_makes_views_makes_them_again_when_it_changed(
    warehouse: Warehouse, folder: Path
) -> None:
    change(folder, "functions/mart.publish", "Rows of %s of", "The rows of %s of")

    applied = migrate(warehouse, folder=folder)

    published = {
        f"views/{name}"
        for name in ("bi.sms_day", "bi.account", "bi_detail.sms_detail", "bi_pii.sms")
    }
    assert published < set(applied)
    views = [
        file for file in (folder / "views").glob("*.sql") if "mart.publish(" in file.read_text()
    ]
    assert len(applied) == 1 + len(views)
    says = one(warehouse, "SELECT obj_description('mart.own_account'::regproc, 'pg_proc')")
    assert says.startswith("The rows of bi.account")
    assert_like_a_fresh_one(warehouse, folder)


def test_a_view_that_a_numbered_file_drops_to_change_a_table_comes_back_with_it(
    warehouse: Warehouse, folder: Path, analyst: str
) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(f"GRANT SELECT ON bi.credit_purchase TO {analyst}".encode())
    (folder / "9001_wider.sql").write_text(
        "SET ROLE warehouse_owner;\n"
        "DROP VIEW IF EXISTS mart.all_credit_purchase CASCADE;\n"
        "ALTER TABLE warehouse.tellody_credit_purchase ALTER COLUMN months TYPE bigint;\n"
    )

    assert migrate(warehouse, folder=folder) == ["9001_wider"]

    kind = "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'bi.credit_purchase'::regclass AND attname = 'months'"
    assert one(warehouse, kind) == "bigint"
    assert one(
        warehouse, f"SELECT has_table_privilege('{analyst}', 'bi.credit_purchase', 'SELECT')"
    )
    with warehouse.connect_admin() as connection:
        connection.execute(f"DROP OWNED BY {analyst}".encode())
    assert_like_a_fresh_one(warehouse, folder)


def test_a_function_whose_file_is_gone_is_dropped(warehouse: Warehouse, folder: Path) -> None:
    (folder / "functions" / "ops.extra.sql").write_text(
        "CREATE OR REPLACE FUNCTION ops.extra() RETURNS integer LANGUAGE sql RETURN 1;\n"
        "COMMENT ON FUNCTION ops.extra IS 'One.';\n"
    )
    assert migrate(warehouse, folder=folder) == ["functions/ops.extra"]
    (folder / "functions" / "ops.extra.sql").unlink()
    assert pending(warehouse, folder) == ["drop functions/ops.extra"]

    assert migrate(warehouse, folder=folder) == ["drop functions/ops.extra"]

    assert one(warehouse, "SELECT to_regproc('ops.extra')") is None
    assert migrate(warehouse, folder=folder) == []


def test_a_view_of_somebody_else_is_never_dropped(
    warehouse: Warehouse, folder: Path, analyst: str
) -> None:
    build_on(warehouse, analyst)
    before = catalog_of(warehouse)
    change(folder, "views/bi.sms_day", "d.messages, d.segments", "d.segments, d.messages")

    with pytest.raises(
        SettingsError, match=r"view public\.of_theirs: built on bi\.sms_day.*drop it"
    ):
        migrate(warehouse, folder=folder)

    assert catalog_of(warehouse) == before
    assert pending(warehouse, folder) == ["views/bi.sms_day"]


def test_a_file_that_fails_leaves_all_functions_and_views_as_they_were(
    warehouse: Warehouse, folder: Path
) -> None:
    before = catalog_of(warehouse)
    change(folder, "functions/mart.guess_category", "ELSE 'unlabelled'", "ELSE 'other'")
    change(folder, "views/bi.account", "time_zone, currency", "time_zone,\n    no_such_column")

    with pytest.raises(DatabaseFailed, match=r"sql/views/bi\.account\.sql, line 3: SQLSTATE 42703"):
        migrate(warehouse, folder=folder)

    assert catalog_of(warehouse) == before
    assert pending(warehouse, folder) == ["functions/mart.guess_category", "views/bi.account"]


def test_files_that_need_one_another_in_a_circle_are_named(folder: Path) -> None:
    change(
        folder, "functions/mart.monday_of", "RETURN of_day", "RETURN mart.week_of(of_day) + of_day"
    )
    (folder / "functions" / "mart.week_of.sql").write_text(
        "CREATE OR REPLACE FUNCTION mart.week_of(d date) RETURNS integer LANGUAGE sql RETURN mart.monday_of(d) - d;\n"
    )
    with pytest.raises(SettingsError, match=r"in a circle: .*mart\.week_of"):
        read_files(folder)


def test_a_misnamed_file_is_an_error(folder: Path) -> None:
    (folder / "views" / "sms.sql").write_text("SELECT 1;")
    with pytest.raises(SettingsError, match=r"sms\.sql is not named schema\.name\.sql"):
        read_files(folder)


@pytest.mark.both_servers
def test_readers_never_find_a_view_missing_and_are_not_kept_waiting(
    warehouse: Warehouse, folder: Path
) -> None:
    """While columns come and go, so that views are dropped and made again with all that is built on them."""
    ended, failures, questions = threading.Event(), list[str](), list[str]()
    readers = [
        threading.Thread(target=read_on, args=(warehouse, views, ended, failures, questions))
        for views in ("bi.sms_day", "bi.messaging_day", "bi.data_until a, bi.data_status b")
    ]
    for reader in readers:
        reader.start()
    days = ("SELECT s.source, s.vendor", "SELECT s.vendor, s.source")
    figures = ("d.messages, d.segments", "d.segments, d.messages")
    try:
        for old, new in ((0, 1), (1, 0)) * 2:
            change(folder, "views/mart.expected_day", days[old], days[new])
            change(folder, "views/bi.sms_day", figures[old], figures[new])
            enough = len(questions) + 10
            migrate(warehouse, folder=folder)
            wait_until(lambda: len(questions) > enough or bool(failures))  # noqa: B023
    finally:
        ended.set()
        for reader in readers:
            reader.join(timeout=60)
    assert failures == []


def as_bi(warehouse: Warehouse) -> psycopg.Connection[Any]:
    return psycopg.connect(
        **{
            **warehouse.place,
            "user": "warehouse_bi",
            "password": warehouse.logins["warehouse_bi"].get_secret_value(),
            "options": "-c statement_timeout=30s",
        },
        autocommit=True,
    )


def read_on(
    warehouse: Warehouse,
    views: str,
    ended: threading.Event,
    failures: list[str],
    questions: list[str],
) -> None:
    with as_bi(warehouse) as connection:
        while not ended.is_set():
            try:
                connection.execute(f"SELECT count(*) FROM {views}".encode())
            except psycopg.Error as error:
                failures.append(f"{error.sqlstate} {error}")
                return
            questions.append(views)
            ended.wait(0.1)


def test_a_reader_in_a_view_is_waited_for_without_making_others_queue(
    warehouse: Warehouse, folder: Path
) -> None:
    change(
        folder, "views/bi.date_day", "SELECT day, year", "SELECT day, year + 0::smallint AS year"
    )
    told: list[str] = []
    with as_bi(warehouse) as reader, as_bi(warehouse) as other:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM bi.date_day")
        worker = threading.Thread(target=migrate, args=(warehouse, told.append, folder))
        worker.start()
        wait_until(lambda: "views/bi.date_day waits for tables in use" in told)
        other.execute("SELECT count(*) FROM bi.date_day")
        reader.execute("ROLLBACK")
        worker.join()
    assert pending(warehouse, folder) == []


def build_on(warehouse: Warehouse, analyst: str) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(f"GRANT SELECT ON bi.sms_day TO {analyst}".encode())
        connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {analyst}".encode())
        connection.execute(
            b"CREATE VIEW public.of_theirs AS SELECT sent_on, messages FROM bi.sms_day"
        )
        connection.execute(f"ALTER VIEW public.of_theirs OWNER TO {analyst}".encode())


def assert_like_a_fresh_one(warehouse: Warehouse, folder: Path) -> None:
    """What the changed files make of a database that has an earlier form is what they make of a new one."""
    fresh = Warehouse(
        {**warehouse.place, "dbname": f"{warehouse.database}_fresh"},
        pipeline=warehouse.pipeline,
        admin=warehouse.admin,
        logins=warehouse.logins,
    )
    migrate(fresh, folder=folder)
    try:
        ours, theirs = (
            [line for line in catalog_of(one_of_them) if not line.startswith("schema | public")]
            for one_of_them in (warehouse, fresh)
        )
        assert ours == theirs
    finally:
        with warehouse.connect_admin(database="postgres") as connection:
            for name in (fresh.database, fresh.dagster_database):
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def writers(warehouse: Warehouse) -> dict[str, str]:
    """Who wrote each function, relation and record of a file last."""
    with warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT oid::regprocedure::text, xmin::text FROM pg_proc WHERE pronamespace > 16000"
            " UNION ALL SELECT oid::regclass::text, xmin::text FROM pg_class WHERE relnamespace > 16000"
            " UNION ALL SELECT revision, xmin::text FROM ops.migration"
        ).fetchall()
    return dict(rows)


def columns(warehouse: Warehouse, view: str) -> list[str]:
    query = f"SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{view}'::regclass AND attnum > 0"
    return list(one(warehouse, query))


def one(warehouse: Warehouse, query: str) -> Any:
    with warehouse.connect_admin() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
