"""Why the embedded Postgres does not start is said, with a way out that works."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.server import embedded
from dagster_project.warehouse.server.embedded import ensure_running, stop
from dagster_project.warehouse.server.start_failure import ServerLog, StartFailed
from tests.warehouse.server.homes import ask


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("pg_wal", r'could not .*"pg_wal/.*": Permission denied'),
        ("log", r'could not open log file "log/.*": Permission denied'),
        ("global/pg_control", r'could not open file ".*pg_control": Permission denied'),
        (
            "postgresql.conf",
            r'could not open configuration file ".*": Permission denied; configuration file .* errors',
        ),
        ("startup.log", r"startup.log: Permission denied"),
    ],
)
def test_a_file_that_postgres_may_not_use_is_named_and_the_command_mends_it(
    home: Path, spoiled: str, reason: str
) -> None:
    ensure_running(home)
    stop(home)
    (home / "postgres" / spoiled).chmod(0)

    with pytest.raises(SettingsError, match=f"does not start: .*{reason}.*Way out: ") as failed:
        ensure_running(home)

    assert "redirecting log output" not in str(failed.value)
    command = re.search(r"chown .*go= \S+", str(failed.value))
    assert command is not None
    subprocess.run(["sh", "-c", command[0]], check=True)
    assert ask(ensure_running(home), "SELECT 1") == 1


def test_a_port_that_is_taken_between_the_look_and_the_start_is_left_to_its_owner(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ensure_running(home).port
    stop(home)
    looks = iter([True, True])
    look = embedded.is_port_free
    monkeypatch.setattr(embedded, "is_port_free", lambda port: next(looks, None) or look(port))
    with socket.create_server(("127.0.0.1", port)):
        moved = ensure_running(home)
    assert moved.port != port
    assert json.loads((home / "embedded.json").read_text())["port"] == moved.port
    assert ask(moved, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("output", "reason", "way_out"),
    [
        (
            "2026-01-01 UTC [1] LOG:  redirecting log output to logging collector process\n"
            '2026-01-01 UTC [1] LOG:  could not bind IPv4 address "127.0.0.1": Address already in use\n'
            '2026-01-01 UTC [1] WARNING:  could not create listen socket for "127.0.0.1"\n'
            "2026-01-01 UTC [1] FATAL:  could not create any TCP/IP sockets\n",
            'could not bind IPv4 address "127.0.0.1": Address already in use;'
            " could not create any TCP/IP sockets",
            "another port",
        ),
        (
            '2026-01-01 UTC [1] PANIC:  could not write to file "pg_wal/x": No space left on device\n'
            "2026-01-01 UTC [2] FATAL:  the database system is starting up\n"
            '2026-01-01 UTC [2] FATAL:  password authentication failed for user "someone"\n',
            'could not write to file "pg_wal/x": No space left on device',
            "free space where /data is",
        ),
        (
            "2026-01-01 UTC [1] PANIC:  could not locate a valid checkpoint record at 0/16ED7F8\n",
            "could not locate a valid checkpoint record at 0/16ED7F8",
            "restore /data from a backup",
        ),
        ("", "it gives no reason", "belongs to keeper and is whole"),
    ],
)
def test_the_reason_is_what_the_server_died_of_and_nothing_of_clients(
    output: str, reason: str, way_out: str
) -> None:
    failure = StartFailed(output)
    assert failure.reason == reason
    assert way_out in failure.way_out(Path("/data"), "keeper")


def test_of_the_log_what_is_new_is_read_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of root's")
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "Mon.log").write_text("old line, and longer than what follows\n")
    (folder / "Tue.log").write_text("old line\n")
    log = ServerLog(folder)
    with (folder / "Tue.log").open("a") as file:
        file.write("new line\n")
    (folder / "Mon.log").write_text("rotated\n")
    (folder / "link.log").symlink_to(tmp_path / "secret")
    assert log.written_since().split("\n") == ["rotated", "", "new line", ""]
    assert ServerLog(tmp_path / "absent").written_since() == ""
