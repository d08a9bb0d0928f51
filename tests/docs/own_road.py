"""The road of docs/own-postgres.md: its own blocks, typed in a folder of a test, on a server of a test.

What a machine gives (packages, users, systemd) is played by small programs of the same names, which note how
they were called; everything of this project, Postgres and psql are real.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import DOCS, ROOT

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

PAGE = (DOCS / "own-postgres.md").read_text()
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = ".venv/bin/warehouse"
INSTALLED, SECRETS, STATE, ADMIN_HOME, UNITS = (
    "/opt/messaging-warehouse",
    "/etc/messaging-warehouse",
    "/var/lib/messaging-warehouse",
    "/root/warehouse-admin",
    "/etc/systemd/system",
)
PATIENCE = 600
NOTED = ("apt-get", "adduser", "git", "make")
RUNUSER = """#!/bin/sh
# runuser -u NAME -- COMMAND …
user=$2; shift 3
if [ "$user" = postgres ]; then
    export PGHOST=127.0.0.1 PGPORT={port} PGUSER=postgres PGDATABASE=postgres PGPASSWORD={password}
fi
exec "$@"
"""
INSTALL = """#!/bin/sh
# Everything belongs to the user of the test.
set -- $(echo "$@" | sed -E 's/-[og] [a-z]+//g')
exec /usr/bin/install "$@"
"""


class Road:
    """A machine on which the page is followed; ``said`` is all that its commands wrote."""

    def __init__(self, folder: Path, server: PostgresServer, ui_port: int) -> None:
        self.folder = folder
        self.said = ""
        self.ui_port = ui_port
        self.installed = folder / "opt"
        self._units: list[subprocess.Popen[bytes]] = []
        self._places = {
            INSTALLED: str(self.installed),
            SECRETS: str(folder / "etc"),
            STATE: str(folder / "var"),
            ADMIN_HOME: str(folder / "admin"),
            UNITS: str(folder / "units"),
            "127.0.0.1:5432": f"127.0.0.1:{server.port}",
            "--port=3000": f"--port={ui_port}",
        }
        self._make_machine(server)

    def _make_machine(self, server: PostgresServer) -> None:
        programs = self.folder / "programs"
        for name in ("programs", "units", "var", "admin"):
            (self.folder / name).mkdir()
        (self.folder / "admin").chmod(0o700)
        password = server.passwords["postgres"].get_secret_value()
        runuser = RUNUSER.format(port=server.port, password=password)
        noting = f'#!/bin/sh\necho "$(basename $0) $*" >> {self.folder}/calls\n'
        texts = dict.fromkeys((*NOTED, "systemctl"), noting)
        for name, text in (texts | {"runuser": runuser, "install": INSTALL}).items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o700)
        self.installed.mkdir()
        for name in ("dagster_project", "sql", ".venv"):
            (self.installed / name).symlink_to(ROOT / name)
        for name in ("workspace.yaml", "dagster.yaml", "pyproject.toml"):
            shutil.copy2(ROOT / name, self.installed)
        shutil.copytree(ROOT / "docker", self.installed / "docker")
        self.environment = {
            "PATH": f"{programs}:{server.cluster.binaries}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
        }

    def here(self, text: str) -> str:
        """A text of the page with the places of this machine."""
        for there, place in self._places.items():
            text = text.replace(there, place)
        return text

    def block(self, beginning: str, change: Callable[[str], str] = lambda text: text) -> str:
        """Type the block of the page that has this text; the lines that failed are in what it wrote."""
        [found] = [one for one in BLOCK.findall(PAGE) if beginning in one]
        return self.type(self.here(change(found)))

    def type(self, script: str, **more: str) -> str:
        """Type some lines, one after another, whatever each ends with."""
        tell = "trap 'echo \"FAILED ($?): $BASH_COMMAND\"' ERR\n"
        done = subprocess.run(
            ["bash", "-c", f"{tell}{script}"],
            cwd=self.installed,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        self.said += f"$ {script}\n{done.stdout}"
        return done.stdout

    def calls(self) -> list[str]:
        """How the programs that are played were called."""
        return (self.folder / "calls").read_text().splitlines()

    def add_settings(self, settings: Mapping[str, str]) -> None:
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        with (self.installed / ".env").open("a") as file:
            file.write(lines)

    def password(self, login: str) -> str:
        return (self.folder / "etc" / f"{login}_password").read_text().strip()

    def start_units(self) -> None:
        """What systemd would: the program of each unit that was enabled, in its folder and environment."""
        [enabled] = [call for call in self.calls() if call.startswith("systemctl enable --now ")]
        for name in enabled.split()[3:]:
            unit = RawConfigParser(strict=False, interpolation=None)
            text = self.here((self.folder / "units" / f"{name}.service").read_text())
            unit.read_string(text)
            given = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
            given["PATH"] = f"{given['PATH']}:{self.environment['PATH']}"
            with (self.folder / f"{name}.log").open("wb") as log:
                self._units.append(
                    subprocess.Popen(
                        unit["Service"]["ExecStart"].split(),
                        cwd=unit["Service"]["WorkingDirectory"],
                        env={**self.environment, **given},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop_units(self) -> None:
        for unit in self._units:
            if unit.poll() is None:
                unit.send_signal(signal.SIGINT)
        for unit in self._units:
            try:
                unit.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(unit.pid, signal.SIGKILL)
                unit.wait()


def until(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come in {seconds:.0f} s"
        time.sleep(1)
