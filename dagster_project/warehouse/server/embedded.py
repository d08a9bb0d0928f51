"""The embedded Postgres, which comes with the project: one server for each ``WAREHOUSE_HOME``.

It is started when it is needed, and stays up. ``embedded.json`` says how to find it again. Passwords and
the pseudonym key are in ``secrets/``, outside the data directory and its dumps. A home has one owner: the
user who made it, on one host.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from dagster_project.errors import SettingsError, TryLater
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.server.cluster import SUPERUSER, Cluster, Postmaster
from dagster_project.warehouse.server.home import (
    hold_home,
    host_name,
    read_or_make_secret,
    read_private,
    refuse_link,
    write_private,
)
from dagster_project.warehouse.server.settings import LOOPBACK
from dagster_project.warehouse.server.start_failure import StartFailed

LOGINS = (
    SUPERUSER,
    "warehouse_app",
    "warehouse_dagster",
    "warehouse_bi",
    "warehouse_bi_detail",
    "warehouse_bi_pii",
)
PATIENCE_SECONDS = 60
LOWEST_PORT, OUTGOING_PORTS = 20_000, 32_768
"""From the second on Linux takes ports for outgoing connections; other systems begin higher."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: where it listens, and the passwords made for it."""

    home: Path
    port: int
    passwords: Mapping[str, SecretStr]
    host: str = LOOPBACK


def ensure_running(home: Path) -> EmbeddedServer:
    """Return the server of ``home``; create and start it if necessary.

    Raises:
        SettingsError: the home is somebody else's, or Postgres cannot start.
        TryLater: another process is starting it, or it is still recovering.
    """
    home = _real_path(home)
    with hold_home(home):
        manager = _ServerManager(home)
        manager.refuse_other_hosts()
        passwords = manager.passwords()
        manager.create_if_absent(passwords[SUPERUSER])
        port = manager.running_port(passwords[SUPERUSER]) or manager.start()
        return EmbeddedServer(home, port, passwords)


def exists(home: Path) -> bool:
    """Whether there is a warehouse in ``home``; nothing is started or created."""
    return (_real_path(home) / "postgres").exists()


def port_of_running(home: Path) -> int | None:
    """The port of the server of ``home``; None where none runs. Nothing is started or made."""
    running = Cluster(_real_path(home) / "postgres").running()
    return running.port if running is not None and running.ready else None


def stop(home: Path) -> bool:
    """Stop the server of ``home``; return whether it ran."""
    home = _real_path(home)
    if not exists(home):
        return False
    with hold_home(home):
        manager = _ServerManager(home)
        manager.refuse_other_hosts()
        ran = manager.cluster.running() is not None
        manager.cluster.stop()
        return ran


def pii_hash_key(home: Path) -> SecretStr:
    """The key of the embedded warehouse's pseudonyms: made once, readable by its owner only."""
    home = _real_path(home)
    with hold_home(home):
        return read_or_make_secret(home / "secrets" / "pii_hash_key")


def _real_path(home: Path) -> Path:
    refuse_link(home)
    return home.resolve()


class _ServerManager:
    """Creates and starts the server of a home whose lock is held."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = Cluster(home / "postgres")
        self.record_file = home / "embedded.json"

    @property
    def record(self) -> dict[str, object]:
        try:
            read = json.loads(read_private(self.record_file) or "{}")
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    def refuse_other_hosts(self) -> None:
        """Refuse a home of another host: two servers on one data directory would destroy it."""
        if self.record.get("host") in (None, host_name()) or self.cluster.claim() is None:
            return
        raise SettingsError(
            f"the Postgres in {self.home} was started on another host, and not stopped there.",
            hint="stop it on that host; if that host is gone for good, delete "
            f"{self.record_file}. For several hosts set WAREHOUSE_URL.",
        )

    def passwords(self) -> dict[str, SecretStr]:
        folder = self.home / "secrets"
        if self.cluster.exists and not (folder / f"{SUPERUSER}_password").exists():
            raise SettingsError(
                f"the passwords of the Postgres in {self.home} are gone ({folder}).",
                hint="restore that folder from a backup, or set WAREHOUSE_HOME to a new folder.",
            )
        made = {login: read_or_make_secret(folder / f"{login}_password") for login in LOGINS}
        lines = [f"{LOOPBACK}:*:*:{login}:{p.get_secret_value()}\n" for login, p in made.items()]
        write_private(folder / "pgpass", "".join(lines))
        return made

    def create_if_absent(self, password: SecretStr) -> None:
        data = self.cluster.data
        if not self.cluster.exists:
            if data.exists():
                raise SettingsError(
                    f"{data} exists, and is not a Postgres data directory.",
                    hint="delete it if nothing in it is needed, or set WAREHOUSE_HOME to another folder.",
                )
            self._create(password)
        made_by = (data / "PG_VERSION").read_text().strip()
        if made_by != "18":
            raise SettingsError(
                f"{data} was made by PostgreSQL {made_by}, and this program runs 18.",
                hint="dump it with that version and restore it into a new WAREHOUSE_HOME.",
            )

    def _create(self, password: SecretStr) -> None:
        """Create the data beside its place and move it there, so that a killed creation can begin again."""
        for leftover in self.home.glob("postgres.making-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        making = Cluster(self.home / f"postgres.making-{os.getpid()}")
        try:
            making.create(password.get_secret_value())
        except StartFailed as failure:
            raise SettingsError(
                f"Postgres cannot create its data in {self.home}: {failure.reason}",
                hint="mend that, or set WAREHOUSE_HOME to another folder.",
            ) from None
        making.data.rename(self.cluster.data)

    def running_port(self, password: SecretStr) -> int | None:
        """The port of our server if it already runs; ``None`` if none runs."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (running := self.cluster.running()) is not None and not running.ready:
            if time.monotonic() > deadline:
                raise TryLater(f"the Postgres in {self.home} is still starting or stopping.")
            time.sleep(0.1)
        if running is None:
            return None
        if not self._is_recorded(running):
            self._refuse_foreign_server(running, password)
            self._write_record(running)
        return running.port

    def start(self) -> int:
        """Start the server on its earlier port, or on a free one if that is taken."""
        self.cluster.disown_reused_pid()
        remembered = self.record.get("port")
        port = remembered if isinstance(remembered, int) else free_port()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            port = port if is_port_free(port) else free_port()
            try:
                self._write_record(self.cluster.start(port))
                return port
            except StartFailed as failure:
                if not self._is_passing(failure, port) or time.monotonic() > deadline:
                    raise self._does_not_start(failure) from None

    def _does_not_start(self, failure: StartFailed) -> SettingsError:
        data = self.cluster.data
        return SettingsError(
            f"the Postgres in {self.home} does not start: {failure.reason}",
            hint=f"{failure.way_out(data, self.cluster.account.name)}"
            f" (its logs: {self.cluster.log_file}, {data / 'log'}).",
        )

    def _is_passing(self, failure: StartFailed, port: int) -> bool:
        """Whether to try again: backends of a killed server may live on, and the port may just have been taken."""
        if "shared memory block" in failure.output:
            self.cluster.end_orphans()
            time.sleep(0.1)
            return True
        return failure.is_port_taken or not is_port_free(port)

    def _is_recorded(self, running: Postmaster) -> bool:
        record = self.record
        known = (record.get("pid"), record.get("started"), record.get("port"))
        return known == (running.pid, running.started, running.port)

    def _refuse_foreign_server(self, running: Postmaster, password: SecretStr) -> None:
        """Refuse a running server that is not recorded, unless it is ours and its starter died too early."""
        with (
            suppress(psycopg.Error),
            psycopg.connect(
                host=LOOPBACK,
                port=running.port,
                user=SUPERUSER,
                password=password.get_secret_value(),
                dbname="postgres",
                connect_timeout=10,
            ) as connection,
        ):
            if Path(fetch_value(connection, "SHOW data_directory")) == self.cluster.data:
                return
        data = self.cluster.data
        raise SettingsError(
            f"a Postgres that is not ours runs on {data} (process {running.pid}).",
            hint=f"stop it (pg_ctl stop -D {data}), or set WAREHOUSE_HOME to another folder.",
        )

    def _write_record(self, running: Postmaster) -> None:
        record = {
            "host": host_name(),
            "port": running.port,
            "pid": running.pid,
            "started": running.started,
            "runs_as": self.cluster.account.name,
        }
        write_private(self.record_file, json.dumps(record, indent=2) + "\n")


def is_port_free(port: int) -> bool:
    """Whether a server may listen on this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of loopback that nobody listens on, below those of outgoing connections.

    One of theirs might be some connection's whenever the server is down, and the server would have to move.
    """
    while not is_port_free(port := LOWEST_PORT + secrets.randbelow(OUTGOING_PORTS - LOWEST_PORT)):
        continue
    return port
