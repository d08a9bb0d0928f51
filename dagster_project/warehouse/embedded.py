"""The Postgres that comes with the project: one server for each ``WAREHOUSE_HOME``.

It starts when it is needed and stays up. What it needs to be found again is in ``embedded.json``;
passwords and the pseudonym key are in ``secrets/``, outside the data directory and of its dumps.
A home has one owner: the user who made it, on one host.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from dagster_project.errors import SettingsError, TryLater
from dagster_project.warehouse.cluster import (
    LOOPBACK,
    SUPERUSER,
    Cluster,
    Postmaster,
    StartFailed,
)

LOGINS = (
    SUPERUSER,
    "warehouse_app",
    "warehouse_dagster",
    "warehouse_bi",
    "warehouse_bi_detail",
    "warehouse_bi_pii",
)
KEY_FILE = "pii_hash_key"
LOCK_SECONDS = 900
ORPHANS_SECONDS = 60


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: where it listens, and the passwords made for it."""

    home: Path
    port: int
    passwords: Mapping[str, SecretStr]
    host: str = LOOPBACK

    @property
    def secrets_folder(self) -> Path:
        return self.home / "secrets"

    @property
    def password_file(self) -> Path:
        """In libpq's format: ``PGPASSFILE`` for psql."""
        return self.secrets_folder / "pgpass"


def ensure_running(home: Path) -> EmbeddedServer:
    """The server of ``home``, created and started if need be.

    Raises:
        SettingsError: the home is somebody else's, or Postgres cannot start; says the way out.
        TryLater: another process is starting it, or it is still recovering.
    """
    home = home.resolve()
    with _claimed(home):
        cluster = Cluster(home / "postgres")
        keeper = _Keeper(home, cluster)
        keeper.refuse_other_hosts()
        passwords = keeper.passwords()
        if not cluster.exists:
            keeper.create(passwords[SUPERUSER])
        port = keeper.running_port(passwords[SUPERUSER]) or keeper.start()
        return EmbeddedServer(home, port, passwords)


def stop(home: Path) -> bool:
    """Stop the server of ``home``; whether it ran."""
    home = home.resolve()
    if not (home / "postgres").exists():
        return False
    with _claimed(home):
        cluster = Cluster(home / "postgres")
        ran = cluster.running() is not None
        cluster.stop()
        return ran


def pii_hash_key(home: Path) -> SecretStr:
    """The key of the pseudonyms of the embedded warehouse: made once, readable by its owner only."""
    home = home.resolve()
    with _claimed(home):
        return _secret(home / "secrets" / KEY_FILE)


class _Keeper:
    """Starts what the lock's holder is allowed to start."""

    def __init__(self, home: Path, cluster: Cluster) -> None:
        self.home = home
        self.cluster = cluster
        self.record_file = home / "embedded.json"

    @property
    def record(self) -> dict[str, object]:
        try:
            read = json.loads(self.record_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def refuse_other_hosts(self) -> None:
        claimed_by = self.record.get("host")
        if claimed_by not in (None, _host()) and self.cluster.claim() is not None:
            raise SettingsError(
                f"the embedded Postgres in {self.home} was started on another host, and not stopped there.",
                way_out="stop it on that host; if that host is gone for good, delete "
                f"{self.record_file}. Several hosts need a Postgres of their own: set WAREHOUSE_URL.",
            )

    def passwords(self) -> dict[str, SecretStr]:
        folder = self.home / "secrets"
        made = {login: _secret(folder / f"{login}_password") for login in LOGINS}
        lines = [f"{LOOPBACK}:*:*:{login}:{p.get_secret_value()}\n" for login, p in made.items()]
        _write_private(folder / "pgpass", "".join(lines))
        return made

    def create(self, password: SecretStr) -> None:
        data = self.cluster.data
        if data.exists():
            raise SettingsError(
                f"{data} exists, and is not a complete Postgres data directory.",
                way_out="delete it if nothing in it is needed, or set WAREHOUSE_HOME to another folder.",
            )
        half_made = Cluster(data.with_name("postgres.making"))
        half_made.remove()
        half_made.create(password.get_secret_value())
        half_made.data.rename(data)

    def running_port(self, password: SecretStr) -> int | None:
        running = self.cluster.running()
        if running is None:
            return None
        deadline = time.monotonic() + ORPHANS_SECONDS
        while not running.ready:
            if time.monotonic() > deadline:
                raise TryLater(f"the embedded Postgres in {self.home} is still starting.")
            time.sleep(0.1)
            running = self.cluster.running()
            if running is None:
                return None
        if not self._is_recorded(running):
            self._prove_ours(running, password)
            self._write_record(running)
        return running.port

    def start(self) -> int:
        self.cluster.disown_reused_pid()
        remembered = self.record.get("port")
        port = remembered if isinstance(remembered, int) and _is_free(remembered) else _free_port()
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            try:
                self._write_record(self.cluster.start(port))
                return port
            except StartFailed as failure:
                if time.monotonic() > deadline or not self._may_pass(failure.said, port):
                    raise SettingsError(
                        f"the embedded Postgres in {self.home} does not start: {_last_line(failure.said)}",
                        way_out=f"see {self.cluster.log_file}.",
                    ) from None
            time.sleep(0.2)
            port = port if _is_free(port) else _free_port()

    @staticmethod
    def _may_pass(said: str, port: int) -> bool:
        """Backends of a killed postmaster live on for a moment; a port may be taken under our eyes."""
        return "shared memory block" in said or not _is_free(port)

    def _is_recorded(self, running: Postmaster) -> bool:
        record = self.record
        return (record.get("pid"), record.get("started"), record.get("port")) == (
            running.pid,
            running.started,
            running.port,
        )

    def _prove_ours(self, running: Postmaster, password: SecretStr) -> None:
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
            row = connection.execute("SHOW data_directory").fetchone()
            if row and Path(str(row[0])) == self.cluster.data:
                return
        raise SettingsError(
            f"a Postgres server that is not ours runs on {self.cluster.data} (process {running.pid}).",
            way_out=f"stop it (pg_ctl stop -D {self.cluster.data}), or set WAREHOUSE_HOME to another folder.",
        )

    def _write_record(self, running: Postmaster) -> None:
        record = {
            "host": _host(),
            "port": running.port,
            "pid": running.pid,
            "started": running.started,
            "runs_as": self.cluster.account.name,
        }
        _write_private(self.record_file, json.dumps(record, indent=2) + "\n")


@contextmanager
def _claimed(home: Path) -> Iterator[None]:
    """The home's lock, held; the home is made if it is absent."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        _refuse_other_users(home)
        folder = home / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        descriptor = os.open(home / "embedded.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise _not_ours(home) from error
    try:
        _lock(descriptor, home)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, home: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TryLater(f"another process is starting the Postgres in {home}.") from None
            time.sleep(0.05)


def _refuse_other_users(home: Path) -> None:
    for name in ("embedded.lock", "secrets"):
        with suppress(FileNotFoundError):
            if (home / name).stat().st_uid != os.geteuid():
                raise _not_ours(home)


def _not_ours(home: Path) -> SettingsError:
    return SettingsError(
        f"{home} belongs to another user of this system.",
        way_out="run as that user, or set WAREHOUSE_HOME to a folder of your own.",
    )


def _secret(path: Path) -> SecretStr:
    """What the file holds; a new random text if it is absent."""
    try:
        held = path.read_text().strip()
    except FileNotFoundError:
        held = ""
    if not held:
        held = secrets.token_urlsafe(32)
        _write_private(path, held + "\n")
    return SecretStr(held)


def _write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only; an unchanged one is left alone."""
    with suppress(FileNotFoundError):
        if path.read_text() == text:
            return
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def _host() -> str:
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
        if machine:
            return f"{socket.gethostname()}:{machine}"
    return socket.gethostname()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
    return lines[-1].strip() if lines else "it gives no reason"
