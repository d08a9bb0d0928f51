"""Real Postgres servers for the tests: the bundled 18, and Debian's 15 where it is installed.

A test that asks for ``warehouse`` gets a migrated database of its own, cloned from a template, on 18;
marked ``both_servers`` it runs on 15 as well. Servers start when first asked for, on a free port of
loopback, with random passwords, and end with the test process however that ends.
"""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import count
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from pydantic import SecretStr

from dagster_project.text import scrub
from dagster_project.warehouse.connection import APP, Warehouse
from dagster_project.warehouse.schema.logins import make_databases, make_logins
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.schema.migration_files import sql_folder
from dagster_project.warehouse.server.cluster import Cluster, bundled_binaries
from dagster_project.warehouse.server.embedded import LOGINS, EmbeddedServer
from tests.support.older_cluster import Cluster15
from tests.support.ports import free_port
from tests.support.programs import POSTGRES_15, missed, need

# No test reads the `.env` of the checkout that it runs in.
os.environ["WAREHOUSE_ENV_FILE"] = ""

# How long it takes to make up an example tells of the machine, and of nothing that is tested.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")

DEBIAN_15 = Path(POSTGRES_15).parent
TEMPLATE = "template_warehouse"
ENOUGH_MEMORY = 12 * 2**30
"""For the files of every process's servers, and for what is tested."""
# A crash of the machine may cost a test server its data; a crash of Postgres alone may not.
FASTER = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
# Half of what a sign-in costs is 4,096 rounds on either side, against guessing (PostgreSQL 16 and later).
SIGNING_IN_FASTER = {"scram_iterations": "1"}
# Its standard input ends when the test process does, killed or not.
REAPER = """
import os, shutil, signal, sys, time
folder = sys.argv[1]
sys.stdin.read()
for _ in range(100):
    try:
        with open(os.path.join(folder, "data", "postmaster.pid")) as file:
            os.kill(int(file.readline()), signal.SIGQUIT)
    except (OSError, ValueError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.exists(folder):
        break
    time.sleep(0.05)
"""


class PostgresServer:
    """A scratch server of one version; ``fresh`` answers a migrated database of its own."""

    def __init__(
        self, version: str, binaries: Path, folder: Path, more: Mapping[str, str] | None = None
    ) -> None:
        self.version = version
        self._reaper = subprocess.Popen(
            [sys.executable, "-c", REAPER, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.passwords = {name: SecretStr(secrets.token_urlsafe(16)) for name in LOGINS}
        faster = FASTER | (SIGNING_IN_FASTER if int(version) >= 16 else {})
        kind = Cluster15 if version == "15" else Cluster
        self.cluster = kind(folder / "data", binaries, {**faster, **(more or {})})
        self.cluster.create(self.passwords["postgres"].get_secret_value(), sync=False)
        # As it is now: a file edited while the tests run would not be what the template was made of.
        self.sql = Path(shutil.copytree(sql_folder(), folder / "sql"))
        postmaster = self.cluster.start(free_port())
        self.server = EmbeddedServer(folder, postmaster.port, self.passwords)
        self._numbers = count(1)
        self._set_password_again()

    def _set_password_again(self) -> None:
        """The administrator's, made with 4,096 rounds while the settings did not yet hold."""
        password = self.passwords["postgres"].get_secret_value().encode()
        with self.on("postgres").connect_admin() as connection:
            verifier = connection.pgconn.encrypt_password(password, b"postgres", b"scram-sha-256")
            change = sql.SQL("ALTER ROLE postgres PASSWORD {}")
            connection.execute(change.format(sql.Literal(verifier.decode())))

    @property
    def port(self) -> int:
        return self.server.port

    def on(self, database: str) -> Warehouse:
        """The warehouse in ``database``, which need not exist."""
        return Warehouse.on_server(self.server, database)

    @cached_property
    def template(self) -> Warehouse:
        warehouse = self.on(TEMPLATE)
        migrate(warehouse, folder=self.sql)
        return warehouse

    def fresh(self) -> Warehouse:
        """A migrated warehouse with no rows. Its Dagster database is made by ``add_dagster``."""
        return self._copy_of(self.template)

    def seal(self, warehouse: Warehouse) -> None:
        """Let nobody into either database any more, so that they can be copied."""
        end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        shut = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false")
        with self.template.connect_admin(database="postgres") as connection:
            for name in (warehouse.database, warehouse.dagster_database):
                connection.execute(shut.format(sql.Identifier(name)))
                connection.execute(end, (name,))

    def loaded(self, origin: Warehouse) -> Warehouse:
        """A copy of a sealed warehouse and of Dagster's database beside it."""
        warehouse = self._copy_of(origin)
        self._copy(origin.dagster_database, warehouse.dagster_database)
        self._make_dagster(warehouse)
        return warehouse

    def _copy_of(self, origin: Warehouse) -> Warehouse:
        warehouse = self.on(f"warehouse_{next(self._numbers)}")
        self._copy(origin.database, warehouse.database, lets_in=APP)
        with warehouse.connect_admin() as connection:
            connection.execute("SELECT ops.secure_database()")
            # A copy of a database stands elsewhere, like a restored dump.
            connection.execute("SELECT ops.suppression_was_applied()")
        return warehouse

    @cached_property
    def dagster_template(self) -> str:
        """Dagster's database with its tables, as ``warehouse migrate`` makes it."""
        self._make_dagster(self.template)
        return self.template.dagster_database

    def add_dagster(self, warehouse: Warehouse) -> None:
        """Make Dagster's database beside ``warehouse``, and its tables."""
        self._copy(self.dagster_template, warehouse.dagster_database)
        self._make_dagster(warehouse)

    def _make_dagster(self, warehouse: Warehouse) -> None:
        """What is right already is left alone."""
        from dagster_project.orchestration.storage import make_storage

        make_databases(warehouse, lambda line: None)
        make_logins(warehouse, lambda line: None)
        make_storage(warehouse)

    def _copy(self, template: str, new: str, lets_in: str | None = None) -> None:
        """File by file: block by block, through the log, costs twice the time."""
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        let_in = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        with self.template.connect_admin(database="postgres") as connection:
            connection.execute(copy.format(sql.Identifier(new), sql.Identifier(template)))
            if lets_in is not None:
                connection.execute(let_in.format(sql.Identifier(new), sql.Identifier(lets_in)))

    def drop(self, warehouse: Warehouse) -> None:
        """Drop both databases, whoever is connected."""
        with warehouse.connect_admin(database="postgres") as connection:
            for name in (warehouse.database, warehouse.dagster_database):
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                )

    def close(self) -> None:
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        on_both = metafunc.definition.get_closest_marker("both_servers") is not None
        versions = ["18", "15"] if on_both else ["18"]
        metafunc.parametrize("server", versions, indirect=True, scope="session", ids="pg{}".format)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first and those that need no Postgres last: no process is left alone."""
    servers = {"server", "scratch"}
    heavy = {item.path for item in items if servers & set(getattr(item, "fixturenames", ()))}

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        long = item.get_closest_marker("long")
        reads_lint = long is not None and bool(long.kwargs.get("after_lint"))
        return long is None, reads_lint, item.path not in heavy

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays to the end: the garbage collector need not look at it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which packages would have run what was skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    by_package = missed(report.longrepr[2] for report in skipped)
    if by_package:
        counts = ", ".join(f"{package} ({count})" for package, count in by_package.items())
        terminalreporter.write_line(f"Tests skipped for want of Debian's packages: {counts}")
        terminalreporter.write_line(f"To run them: apt-get install {' '.join(by_package)}")


@pytest.fixture(scope="module", autouse=True)
def secrets_of_this_module() -> None:
    """What another file's tests were given as secrets hides nothing in the texts of this one."""
    scrub._secrets = scrub._Secrets()


@pytest.fixture(scope="session")
def _servers() -> Iterator[Callable[[str], PostgresServer]]:
    started: dict[str, PostgresServer] = {}

    def of_version(version: str) -> PostgresServer:
        if version not in started:
            binaries = bundled_binaries() if version == "18" else DEBIAN_15
            if version == "15":
                need(POSTGRES_15)
            started[version] = PostgresServer(version, binaries, scratch_folder())
        return started[version]

    yield of_version
    for server in started.values():
        server.close()


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, _servers: Callable[[str], PostgresServer]
) -> PostgresServer:
    """A running server: the bundled 18; also 15 where the test is marked ``both_servers``."""
    return _servers(request.param)


@pytest.fixture
def warehouse_factory(server: PostgresServer) -> Iterator[Callable[[], Warehouse]]:
    """Makes migrated warehouses with no rows, dropped after the test."""
    made: list[Warehouse] = []

    def fresh() -> Warehouse:
        made.append(server.fresh())
        return made[-1]

    yield fresh
    for warehouse in made:
        server.drop(warehouse)


@pytest.fixture
def warehouse(warehouse_factory: Callable[[], Warehouse]) -> Warehouse:
    """A migrated warehouse with no rows, of this test alone."""
    return warehouse_factory()


@pytest.fixture
def warehouse_with_dagster(server: PostgresServer, warehouse: Warehouse) -> Warehouse:
    """The same, with Dagster's own database beside it."""
    server.add_dagster(warehouse)
    return warehouse


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for a ``WAREHOUSE_HOME``: unlike ``tmp_path`` one that Postgres can reach under root."""
    folder = scratch_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> Path | None:
    """Where files are kept in memory, if there is plenty: a database is copied there ten times as fast."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < ENOUGH_MEMORY:
        return None
    return memory if psutil.virtual_memory().available >= ENOUGH_MEMORY else None


def scratch_folder() -> Path:
    """A folder that Postgres can reach under root; in memory if there is plenty. The caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix="warehouse-test-", dir=_in_memory())).resolve()
    folder.chmod(0o711)
    return folder
