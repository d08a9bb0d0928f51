"""``docker/backup``: encrypted, without the key of the pseudonyms, and restored on a server of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from dagster_project.errors import SettingsError
from dagster_project.sandbox.server import running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer, scratch_folder
from tests.support.erasing import a_day, command, forget, traces
from tests.support.operating import SITE, days_back, operating
from tests.support.programs import need
from tests.warehouse.server.homes import wait_until

BACKUP = Path(__file__).resolve().parents[2] / "docker" / "backup"
ROWS = 500
STANDING = (
    "SELECT sent_on, sms_key, occurrence, content_hash, phone, recipient, message"
    " FROM warehouse.calltouch_sms ORDER BY 1, 2, 3"
)


@pytest.fixture
def other_host() -> Iterator[PostgresServer]:
    """A server that has nothing yet: no role and no database of ours."""
    folder = scratch_folder()
    server = PostgresServer("18", bundled_binaries(), folder)
    yield server
    server.close()


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, Path]:
    """A key pair of age: the public one, and the file of the private one."""
    need("age")
    identity = tmp_path / "identity"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True)
    lines = identity.read_text().splitlines()
    return next(line.split(": ")[1] for line in lines if "public key" in line), identity


def environment(server: PostgresServer, database: str) -> dict[str, str]:
    return {
        "PATH": f"{bundled_binaries()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": server.passwords["postgres"].get_secret_value(),
        "WAREHOUSE_DATABASE": database,
    }


def fill(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("SELECT ops.ensure_month('warehouse.tellody_activity', '2024-04-01')")
        connection.execute(
            "INSERT INTO warehouse.tellody_activity (activity_on, account, sms_sent, email_sent,"
            " downloads, optouts, url_clicks, vouchers_viewed, content_hash,"
            " first_loaded_at, changed_at)"
            " SELECT '2024-04-01', 'account ' || n, n, 0, 0, 0, 0, 0, n, now(), now()"
            " FROM generate_series(1, %s) n",
            (ROWS,),
        )


def back_up(server: PostgresServer, warehouse: Warehouse, recipient: str, file: Path) -> None:
    with file.open("wb") as opened:
        subprocess.run(
            ["sh", str(BACKUP), recipient],
            env=environment(server, warehouse.database),
            stdout=opened,
            check=True,
        )


def restore(server: PostgresServer, database: str, identity: Path, file: Path) -> Warehouse:
    with file.open("rb") as opened:
        subprocess.run(
            ["sh", str(BACKUP), "--restore", str(identity)],
            env=environment(server, database),
            stdin=opened,
            check=True,
        )
    return server.on(database)


def test_a_backup_is_whole_again_on_another_host(
    server: PostgresServer,
    warehouse_with_dagster: Warehouse,
    other_host: PostgresServer,
    key: tuple[str, Path],
    tmp_path: Path,
) -> None:
    source = warehouse_with_dagster
    recipient, identity = key
    fill(source)
    backup = tmp_path / "warehouse.backup"
    back_up(server, source, recipient, backup)
    assert backup.read_bytes().startswith(b"age-encryption.org/")
    assert b"tellody_activity" not in backup.read_bytes()

    restored = restore(other_host, source.database, identity, backup)
    assert not may_connect(restored, restored.database), "closed from the beginning"
    assert migrate(restored, folder=server.sql) == []
    with restored.connect() as connection:
        found = connection.execute("SELECT count(*), sum(sms_sent) FROM warehouse.tellody_activity")
        assert found.fetchone() == (ROWS, ROWS * (ROWS + 1) // 2)
    assert gaps(restored) == []
    assert may_connect(restored, restored.database)
    assert not may_connect(restored, restored.dagster_database)


DOCKER = """\
#!/bin/sh
# Plays `docker compose exec` into the service that has Postgres: another environment, another folder.
case "$*" in
    "compose -f "*/docker/compose.yaml" exec -T -u postgres postgres "*) shift 8 ;;
    *) exit 9 ;;
esac
cd / && exec env SETTINGS "$@"
"""


def test_of_the_stack_it_is_made_inside_the_container_and_restored_into_its_empty_database(
    server: PostgresServer,
    warehouse_with_dagster: Warehouse,
    other_host: PostgresServer,
    key: tuple[str, Path],
    tmp_path: Path,
) -> None:
    source = warehouse_with_dagster
    fill(source)

    def run(of: PostgresServer, *words: str, **files: Any) -> subprocess.CompletedProcess[bytes]:
        """As on the host of a stack: ``docker``, and no way to Postgres but through it."""
        place = environment(of, source.database)
        settings = " ".join(f"{k}='{v}'" for k, v in place.items() if k.startswith(("PG", "PATH")))
        program = tmp_path / "docker"
        program.write_text(DOCKER.replace("SETTINGS", settings))
        program.chmod(0o700)
        path = f"{tmp_path}:/usr/bin:/bin"
        given = {"PATH": path, "WAREHOUSE_DATABASE": source.database}
        return subprocess.run(["sh", str(BACKUP), "--stack", *words], env=given, **files)

    backup = tmp_path / "warehouse.backup"
    with backup.open("wb") as file:
        assert run(server, key[0], stdout=file).returncode == 0
    # The image of Postgres makes the database when it first starts.
    with other_host.on("postgres").connect_admin() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(source.database)))
    with backup.open("rb") as file:
        assert run(other_host, "--restore", str(key[1]), stdin=file).returncode == 0
    restored = other_host.on(source.database)
    with restored.connect_admin() as connection:
        found = connection.execute("SELECT count(*) FROM warehouse.tellody_activity").fetchone()
    assert found == (ROWS,)
    assert not may_connect(restored, restored.database)
    with backup.open("rb") as file:
        again = run(other_host, "--restore", str(key[1]), stdin=file, stderr=subprocess.PIPE)
    assert again.returncode == 1
    assert b"is not empty" in again.stderr


def test_who_was_erased_after_the_backup_is_erased_before_the_restored_one_serves(
    server: PostgresServer,
    warehouse_with_dagster: Warehouse,
    other_host: PostgresServer,
    key: tuple[str, Path],
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipient, identity = key
    backup, exported = scratch / "warehouse.backup", scratch / "suppression.list"
    with running_sandbox(clock=datetime.now(UTC)) as sandbox:
        given = sandbox.settings_env() | {"CALLTOUCH_SITE_IDS": SITE}
        with operating(warehouse_with_dagster, scratch, monkeypatch, given) as house:
            days = days_back(2)
            for day in days:
                sandbox.world.calltouch.replace_day(int(SITE), day, a_day(day))
            assert house.refresh(days), house.failure()
            back_up(server, house.warehouse, recipient, backup)
            forget("+7 920 123-45-67")
            command("forget", "--export", str(exported))
            erased = house.rows(STANDING)
        restored = restore(other_host, warehouse_with_dagster.database, identity, backup)
        assert migrate(restored, folder=server.sql) == []
        with operating(restored, scratch, monkeypatch, given) as house:
            assert "warehouse.calltouch_sms" in traces(house)
            assert not may_read_bi(restored)
            day = days[0].isoformat()
            with pytest.raises(SettingsError, match="restored dump"):
                command("backfill", "--source", "calltouch", "--from", day, "--to", day)
            command("forget", "--import", str(exported))
            assert traces(house) == []
            assert house.rows(STANDING) == erased
            assert may_read_bi(restored)
            assert house.refresh(days), house.failure()
            assert (traces(house), house.rows(STANDING)) == ([], erased)


def may_read_bi(warehouse: Warehouse) -> bool:
    with warehouse.connect_admin() as connection:
        row = connection.execute(
            "SELECT has_schema_privilege('warehouse_bi', 'bi', 'USAGE')"
        ).fetchone()
    assert row is not None
    return bool(row[0])


def gaps(warehouse: Warehouse) -> list[tuple[str]]:
    with warehouse.connect_admin() as connection:
        return connection.execute("SELECT gap FROM ops.security_gap").fetchall()


def may_connect(warehouse: Warehouse, database: str) -> bool:
    """Whether a BI login may enter Dagster's storage."""
    statement = sql.SQL("SELECT has_database_privilege('warehouse_bi', {}, 'CONNECT')")
    with warehouse.connect_admin() as connection:
        row = connection.execute(statement.format(sql.Literal(database))).fetchone()
    assert row is not None
    return bool(row[0])


def test_a_backup_that_cannot_be_made_whole_fails(
    server: PostgresServer, warehouse_with_dagster: Warehouse, key: tuple[str, Path]
) -> None:
    wrong = environment(server, "no_such_database")
    done = subprocess.run(["sh", str(BACKUP), key[0]], env=wrong, capture_output=True)
    assert done.returncode != 0
    assert done.stdout == b""


@pytest.fixture(scope="module")
def filled(server: PostgresServer) -> Iterator[Warehouse]:
    """A warehouse with rows, and Dagster's database, for backups that go wrong."""
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    fill(warehouse)
    yield warehouse
    server.drop(warehouse)


class Attempt:
    """A backup whose programs may be replaced, and whose TMPDIR is its own."""

    def __init__(self, server: PostgresServer, warehouse: Warehouse, folder: Path) -> None:
        self.temporary, self.programs = folder / "tmp", folder / "programs"
        self.file = folder / "warehouse.backup"
        for made in (self.temporary, self.programs):
            made.mkdir()
        given = environment(server, warehouse.database)
        self.path = given["PATH"]
        own = {"TMPDIR": str(self.temporary), "PATH": f"{self.programs}:{self.path}"}
        self.environment = {**given, **own}

    def replace(self, program: str, body: str) -> None:
        """``real`` in the body is the program itself."""
        real = shutil.which(program, path=self.path)
        script = self.programs / program
        script.write_text(f'#!/bin/bash\nreal() {{ "{real}" "$@"; }}\n{body}\n')
        script.chmod(0o700)

    def start(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sh", str(BACKUP), *words], env=self.environment, start_new_session=True, **more
        )

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["sh", str(BACKUP), *words],
            env=self.environment,
            stderr=subprocess.PIPE,
            timeout=120,
            **more,
        )

    def left(self) -> list[Path]:
        """What lies in TMPDIR, but for named pipes."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def in_the_clear(self) -> list[Path]:
        texts = {path: path.read_bytes() for path in self.left()}
        return [path for path, text in texts.items() if b"PGDMP" in text or b"ROLE" in text]


@pytest.fixture
def attempt(server: PostgresServer, filled: Warehouse, tmp_path: Path) -> Attempt:
    return Attempt(server, filled, tmp_path)


CUT = 'real "$@" | head -c 3000; exit 7'


@pytest.mark.parametrize(
    ("program", "body"),
    [
        ("pg_dump", "exit 7"),
        ("pg_dump", CUT),
        ("pg_dump", f'case "$*" in *_dagster) ;; *) real "$@"; exit;; esac; {CUT}'),
        ("pg_dump", 'real "$@" | head -c 300'),
        ("pg_dumpall", CUT),
        ("tar", f'case "$*" in -c*) ;; *) real "$@"; exit;; esac; {CUT}'),
        ("tar", "exit 7"),
        ("age", CUT),
        ("age", "kill -KILL $$"),
        ("tee", "exit 7"),
        ("pg_restore", "exit 7"),
    ],
)
def test_a_part_that_fails_fails_the_whole_and_leaves_nothing_like_a_backup(
    attempt: Attempt, key: tuple[str, Path], program: str, body: str
) -> None:
    attempt.replace(program, body)
    assert attempt.run(key[0], str(attempt.file)).returncode == 1
    assert not attempt.file.exists()
    assert not attempt.file.with_name("warehouse.backup.part").exists()
    with attempt.file.open("wb") as opened:
        assert attempt.run(key[0], stdout=opened).returncode == 1
    assert attempt.file.read_bytes() == b""
    assert attempt.left() == []


@pytest.mark.parametrize(
    ("program", "body"),
    [("tar", "exit 7"), ("tar", "kill -KILL $$"), ("pg_restore", "exit 7"), ("grep", "exit 7")],
)
def test_a_check_that_ends_before_anything_is_written_to_it_is_not_waited_for(
    attempt: Attempt, key: tuple[str, Path], program: str, body: str
) -> None:
    attempt.replace("tee", 'sleep 1; real "$@"')
    attempt.replace(program, body)
    assert attempt.run(key[0], str(attempt.file)).returncode == 1
    assert attempt.left() == []


@pytest.mark.parametrize("how", ["the script", "all of it", "asked to end"])
def test_a_backup_that_is_killed_leaves_no_dump_in_the_clear_and_no_file(
    attempt: Attempt, key: tuple[str, Path], how: str
) -> None:
    attempt.replace("pg_dump", 'case "$*" in *_dagster) exec sleep 60;; esac; real "$@"')
    process = attempt.start(key[0], str(attempt.file), stderr=subprocess.DEVNULL)
    try:
        # The first dump is whole by then, and the second one under way.
        wait_until(lambda: any("_dagster.age" in path.name for path in attempt.left()))
        assert len([path for path in attempt.left() if path.suffix == ".age"]) == 3
        assert attempt.in_the_clear() == []
        if how == "the script":
            process.kill()
        elif how == "asked to end":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(20) == (143 if how == "asked to end" else -signal.SIGKILL)
        assert not attempt.file.exists()
        assert attempt.in_the_clear() == []
        if how == "asked to end":
            assert attempt.left() == []
            assert list(attempt.file.parent.glob("*.part")) == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_backup_is_checked_and_restored_without_a_dump_in_the_clear(
    attempt: Attempt,
    key: tuple[str, Path],
    other_host: PostgresServer,
    filled: Warehouse,
    tmp_path: Path,
) -> None:
    recipient, identity = key
    assert attempt.run(recipient, str(attempt.file)).returncode == 0
    whole = attempt.file.read_bytes()

    def check(content: bytes, key_file: Path = identity) -> int:
        attempt.file.write_bytes(content)
        with attempt.file.open("rb") as opened:
            return attempt.run("--check", str(key_file), stdin=opened).returncode

    assert check(whole) == 0
    assert check(whole[:-100]) == 1
    assert check(whole[: len(whole) // 2]) == 1
    assert check(whole[:5000] + b"x" + whole[5001:]) == 1
    subprocess.run(["age-keygen", "-o", str(tmp_path / "another")], check=True, capture_output=True)
    assert check(whole, tmp_path / "another") == 1
    without_end = f"age -d -i {identity} | tar --delete -f - complete | age -r {recipient}"
    members = subprocess.run(["sh", "-c", without_end], input=whole, stdout=subprocess.PIPE).stdout
    assert check(members) == 1, "it ends before its end"

    place = environment(other_host, filled.database)
    attempt.environment |= {name: value for name, value in place.items() if name.startswith("PG")}
    seen = tmp_path / "seen"
    attempt.replace("pg_restore", f'grep -rl PGDMP "$TMPDIR" >>{seen}; touch {seen}; real "$@"')
    with attempt.file.open("wb") as opened:
        opened.write(whole)
    with attempt.file.open("rb") as opened:
        assert attempt.run("--restore", str(identity), stdin=opened).returncode == 0
    assert seen.read_text() == ""
    with other_host.on(filled.database).connect_admin() as connection:
        found = connection.execute("SELECT count(*) FROM warehouse.tellody_activity").fetchone()
    assert found == (ROWS,)
