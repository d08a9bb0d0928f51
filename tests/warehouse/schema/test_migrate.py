"""Migrations: applied once, whole or not at all, by one process at a time, never changed afterwards."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_project.errors import DatabaseFailed, SettingsError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate, pending, secure
from dagster_project.warehouse.schema.migration_files import Migration, read_files, sql_folder
from tests.warehouse.server.homes import wait_until

PROJECT = Path(__file__).resolve().parents[3]
MIGRATE = (
    "import pickle, sys\n"
    "from pathlib import Path\n"
    "from dagster_project.warehouse.schema.migrate import migrate\n"
    "warehouse, folder = pickle.load(sys.stdin.buffer)\n"
    "print(len(migrate(warehouse, folder=folder)), flush=True)\n"
)


@pytest.fixture
def folder(server: Any, tmp_path: Path) -> Path:
    """A copy of ``sql/``, to add files to."""
    return Path(shutil.copytree(server.sql, tmp_path / "sql"))


@pytest.fixture
def unmigrated(server: Any, request: pytest.FixtureRequest) -> Any:
    """Names warehouses that do not exist yet; they are dropped after the test."""
    made: list[Warehouse] = []

    def new() -> Warehouse:
        made.append(server.on(f"unmigrated_{abs(hash(request.node.nodeid)) % 10**6}_{len(made)}"))
        return made[-1]

    yield new
    for warehouse in made:
        server.drop(warehouse)


def test_whether_a_schema_is_behind_is_asked_on_one_connection(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Warehouse.connect_admin
    opened: list[dict[str, Any]] = []

    def noted(self: Warehouse, **how: Any) -> Any:
        opened.append(how)
        return connect(self, **how)

    monkeypatch.setattr(Warehouse, "connect_admin", noted)
    assert pending(warehouse) == []
    assert opened == [{"what": "migrate"}]


@pytest.mark.both_servers
def test_a_new_server_gets_every_file_in_order(unmigrated: Callable[[], Warehouse]) -> None:
    warehouse = unmigrated()
    files = read_files()
    names = [str(file) for file in (*files.migrations, *files.definitions)]
    told: list[str] = []

    assert pending(warehouse) == names
    assert migrate(warehouse, told.append) == names

    numbered = [str(migration) for migration in files.migrations]
    applied = [line.removeprefix("applying ") for line in told if line.startswith("applying")]
    assert applied[:-1] == numbered
    assert applied[-1].endswith(" functions and views")
    rows = _all(
        warehouse,
        "SELECT revision || '_' || name FROM ops.migration WHERE revision !~ '/' ORDER BY applied_at",
    )
    assert rows == numbered
    definitions = _all(warehouse, "SELECT revision FROM ops.migration WHERE revision ~ '/'")
    assert sorted(definitions) == sorted(file.revision for file in files.definitions)


@pytest.mark.both_servers
def test_a_second_migration_changes_nothing(warehouse: Warehouse) -> None:
    told: list[str] = []
    before = _catalog(warehouse)

    assert pending(warehouse) == []
    migrate(warehouse)
    assert migrate(warehouse, told.append) == []

    assert told == []
    assert _catalog(warehouse) == before


def test_processes_that_migrate_at_once_apply_each_file_once(
    unmigrated: Callable[[], Warehouse], folder: Path
) -> None:
    warehouse = unmigrated()
    processes = [_migrate_elsewhere(warehouse, folder) for _ in range(4)]

    told = sorted(int(process.communicate()[0]) for process in processes)

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    files = read_files(folder)
    assert told == [0, 0, 0, len(files.migrations) + len(files.definitions)]
    assert pending(warehouse, folder) == []


@pytest.mark.both_servers
def test_databases_of_one_server_migrate_side_by_side(
    unmigrated: Callable[[], Warehouse],
) -> None:
    failures: list[BaseException] = []

    def work(warehouse: Warehouse) -> None:
        try:
            migrate(warehouse)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    warehouses = [unmigrated() for _ in range(3)]
    threads = [threading.Thread(target=work, args=(warehouse,)) for warehouse in warehouses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [pending(warehouse) for warehouse in warehouses] == [[], [], []]


@pytest.mark.both_servers
def test_processes_that_close_a_database_at_once_all_succeed(warehouse: Warehouse) -> None:
    """As ``warehouse logins`` does, typed twice, or beside a migration."""
    failures: list[str] = []

    def work() -> None:
        for _ in range(10):
            try:
                secure(warehouse)
            except DatabaseFailed as failure:
                failures.append(str(failure))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_file_that_fails_leaves_nothing_behind_and_is_named(
    warehouse: Warehouse, folder: Path
) -> None:
    (folder / "9001_good.sql").write_text("CREATE TABLE ops.good (x integer);")
    (folder / "9002_bad.sql").write_text(
        "CREATE TABLE ops.half (x integer);\n\nSELECT nothing FROM ops.half;\n"
    )

    with pytest.raises(DatabaseFailed, match=r"sql/9002_bad\.sql, line 3: SQLSTATE 42703"):
        migrate(warehouse, folder=folder)

    assert pending(warehouse, folder) == ["9002_bad"]
    assert _all(warehouse, "SELECT to_regclass('ops.good')::text") == ["ops.good"]
    assert _all(warehouse, "SELECT to_regclass('ops.half')::text") == [None]


def test_a_migration_that_is_killed_leaves_nothing_behind(
    warehouse: Warehouse, folder: Path
) -> None:
    file = folder / "9001_slow.sql"
    file.write_text("CREATE TABLE ops.slow (x integer); SELECT pg_sleep(600);")
    process = _migrate_elsewhere(warehouse, folder)
    with warehouse.connect_admin() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: connection.execute(query).fetchone() == (1,))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    assert pending(warehouse, folder) == ["9001_slow"]
    file.write_text("CREATE TABLE ops.slow (x integer);")
    assert migrate(warehouse, folder=folder) == ["9001_slow"]


def test_a_file_with_functions_runs_as_it_is_written(warehouse: Warehouse, folder: Path) -> None:
    (folder / "9001_function.sql").write_text(
        "CREATE FUNCTION ops.percent(n integer) RETURNS text LANGUAGE plpgsql AS $body$\n"
        "BEGIN RETURN format('%s %%; :n', n); END\n$body$;\nSELECT 1; SELECT 2;\n"
    )

    migrate(warehouse, folder=folder)

    assert _all(warehouse, "SELECT ops.percent(5)") == ["5 %; :n"]


def test_an_applied_file_that_was_changed_is_an_error(warehouse: Warehouse, folder: Path) -> None:
    file = folder / "0101_roles_and_schemas.sql"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert pending(warehouse, folder) == [], "line ends are no change"
    file.write_text(file.read_text() + "\n-- more\n")

    for attempt in (migrate, pending):
        with pytest.raises(
            SettingsError, match=r"0101_roles_and_schemas\.sql was changed .*new file"
        ):
            attempt(warehouse, folder=folder)


def test_a_schema_newer_than_the_program_is_an_error(warehouse: Warehouse, folder: Path) -> None:
    (folder / "9001_later.sql").write_text("SELECT 1;")
    migrate(warehouse, folder=folder)

    for attempt in (migrate, pending):
        with pytest.raises(SettingsError, match=r"does not know: 9001.*upgrade the program"):
            attempt(warehouse)


def test_a_number_below_what_is_applied_is_an_error(warehouse: Warehouse, folder: Path) -> None:
    (folder / "9002_later.sql").write_text("SELECT 1;")
    migrate(warehouse, folder=folder)
    (folder / "9001_earlier.sql").write_text("SELECT 1;")

    with pytest.raises(SettingsError, match=r"9001_earlier\.sql is numbered below 9002"):
        migrate(warehouse, folder=folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [("5_short.sql", "is not named NNNN_name.sql"), ("0101_twice.sql", "several files 0101")],
)
def test_a_misnamed_file_is_an_error(folder: Path, name: str, message: str) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(SettingsError, match=message):
        read_files(folder)


def test_a_migration_waits_for_tables_in_use_without_making_readers_queue(
    warehouse: Warehouse, folder: Path
) -> None:
    (folder / "9001_alter.sql").write_text("ALTER TABLE ops.load_receipt ADD later integer;")
    told: list[str] = []
    with warehouse.connect() as reader, warehouse.connect(statement_timeout=10) as other:
        reader.execute("SELECT count(*) FROM ops.load_receipt")
        worker = threading.Thread(target=migrate, args=(warehouse, told.append, folder))
        worker.start()
        wait_until(lambda: "9001_alter waits for tables in use" in told)
        other.execute("SELECT count(*) FROM ops.load_receipt")
        other.rollback()
        reader.rollback()
        worker.join()

    assert pending(warehouse, folder) == []


def test_a_wheel_carries_the_migrations(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        PROJECT / "dagster_project",
        source / "dagster_project",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copytree(PROJECT / "sql", source / "sql")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--quiet", "--wheel-dir", tmp_path, source], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")

    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".sql")]
    carried = [name.split("/data/share/messaging-warehouse/sql/")[1] for name in names]
    folder = sql_folder()
    assert sorted(carried) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*.sql")
    )


def test_a_migrations_hash_is_that_of_its_text() -> None:
    digest = "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"
    assert Migration("0001", "one", "SELECT 1;").sha256 == digest


def _migrate_elsewhere(warehouse: Warehouse, folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", MIGRATE], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((warehouse, folder)))
    process.stdin.close()
    process.stdin = None
    return process


def _all(warehouse: Warehouse, query: str) -> list[Any]:
    with warehouse.connect_admin() as connection:
        return [row[0] for row in connection.execute(query.encode())]


def _catalog(warehouse: Warehouse) -> list[Any]:
    query = """
        SELECT 'class ' || c.oid || ' ' || c.xmin FROM pg_class c
        UNION ALL SELECT 'proc ' || p.oid || ' ' || p.xmin FROM pg_proc p
        UNION ALL SELECT 'role ' || r.oid || ' ' || r.xmin FROM pg_authid r
        UNION ALL SELECT 'member ' || m.roleid || ' ' || m.member || ' ' || m.xmin FROM pg_auth_members m
        UNION ALL SELECT 'migration ' || m.revision || ' ' || m.xmin FROM ops.migration m
        ORDER BY 1
    """
    with warehouse.connect_admin() as connection:
        return connection.execute(query.encode()).fetchall()


def test_rights_that_a_killed_migration_did_not_come_to_are_given_by_the_next(
    warehouse: Warehouse,
) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(
            f'REVOKE CONNECT, TEMPORARY ON DATABASE "{warehouse.database}" FROM warehouse_loader'.encode()
        )
    assert migrate(warehouse) == []
    with warehouse.connect_admin() as connection:
        [(may,)] = connection.execute(
            "SELECT has_database_privilege('warehouse_loader', current_database(), 'TEMPORARY')"
        )
    assert may


@pytest.fixture
def keeper(server: Any) -> Any:
    """A login of somebody else's server, by its attributes; and its warehouse, which does not exist."""
    password, made = "only-for-this-test", list[Warehouse]()

    def new(attributes: str) -> Warehouse:
        name = f"keeper_{len(made)}_of_an_absent_database"
        with server.on("postgres").connect_admin() as connection:
            connection.execute(f"DROP ROLE IF EXISTS {name}".encode())
            connection.execute(
                f"CREATE ROLE {name} LOGIN {attributes} PASSWORD '{password}'".encode()
            )
            connection.execute(f"GRANT CONNECT ON DATABASE postgres TO {name}".encode())
        url = f"postgresql://{name}:{password}@127.0.0.1:{server.port}/absent_{len(made)}"
        made.append(Warehouse.from_url(url))
        return made[-1]

    assert server.template
    yield new
    for warehouse in made:
        server.drop(server.on(warehouse.database))
        with server.on("postgres").connect_admin() as connection:
            connection.execute(f"DROP OWNED BY {warehouse.admin.user}".encode())
            connection.execute(f"DROP ROLE {warehouse.admin.user}".encode())


@pytest.mark.both_servers
def test_a_database_that_the_url_names_and_that_is_absent_is_created(
    keeper: Callable[[str], Warehouse], server: Any
) -> None:
    warehouse = keeper("SUPERUSER")
    told: list[str] = []

    assert migrate(warehouse, told.append, folder=server.sql) != []

    assert f"created database {warehouse.database}" in told
    assert pending(warehouse, server.sql) == []
    assert _all(
        warehouse,
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
    ) == [warehouse.admin.user]
    encoding = (
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
    )
    assert _all(warehouse, encoding) == ["UTF8"]
    assert not may_connect_by_public(warehouse)
    assert migrate(warehouse, folder=server.sql) == []


@pytest.mark.both_servers
def test_who_may_not_create_it_is_told_the_line_that_does(
    keeper: Callable[[str], Warehouse], server: Any
) -> None:
    warehouse = keeper("NOCREATEDB")

    with pytest.raises(SettingsError) as raised:
        migrate(warehouse, folder=server.sql)

    assert raised.value.exit_status == 2
    assert f"database {warehouse.database} does not exist" in str(raised.value)
    line = re.search(r"CREATE DATABASE [^;]+;", str(raised.value))
    assert line is not None
    assert f"OWNER \"{warehouse.admin.user}\" ENCODING 'UTF8'" in line[0]
    with server.on("postgres").connect_admin() as connection:
        connection.execute(line[0].encode())
    warehouse.connect_admin().close()


def may_connect_by_public(warehouse: Warehouse) -> bool:
    query = "SELECT has_database_privilege('public', current_database(), 'CONNECT')"
    return bool(_all(warehouse, query)[0])
