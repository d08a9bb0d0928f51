"""Hosts made of Linux namespaces: each has processes, a network card and a name of its own.

The centre is where this process runs, itself in a network namespace with a bridge. Losing power is
what happens to a host here: its link goes first, so that no word of its end gets out, then all of
its processes at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

BRIDGE = "fleet0"
CENTRE = "10.77.0.1"
ROOM = "10.77.0"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def lay_bridge() -> None:
    """The network of the centre; hosts are plugged into it."""
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("addr", "add", f"{CENTRE}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


class Host:
    """A host of its own: ``run`` starts a process there."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{ROOM}.{number}"
        self._port = f"to-{name}"
        self._keeper = subprocess.Popen(
            [
                *("unshare", "--net", "--pid", "--uts", "--mount", "--fork"),
                *("--mount-proc", "--kill-child", "sleep", "infinity"),
            ],
            stderr=subprocess.DEVNULL,
        )
        self._init = self._first_process()
        ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self._init)
        ip("link", "set", self._port, "master", BRIDGE, "up")
        for line in (
            ("hostname", name),
            ("ip", "link", "set", "lo", "up"),
            ("ip", "addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("ip", "link", "set", "eth0", "up"),
        ):
            subprocess.run([*self._inside(), *line], check=True)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return subprocess.Popen(
                [*self._inside(), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def cut_off(self) -> None:
        """Its packets go nowhere, and none reach it; nobody is told."""
        ip("link", "set", self._port, "down")

    def plug_in(self) -> None:
        ip("link", "set", self._port, "up")

    def lose_power(self) -> None:
        """Cut it off, then end all of its processes at once."""
        with suppress(subprocess.CalledProcessError):
            self.cut_off()
        with suppress(ProcessLookupError):
            os.kill(int(self._init), signal.SIGKILL)
        self._keeper.wait(timeout=30)

    def _first_process(self) -> str:
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children")
        while True:
            found = children.read_text().split()
            if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "sleep":
                return found[0]
            if self._keeper.poll() is not None:
                raise RuntimeError(f"host {self.name} did not start")

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", self._init, "--net", "--pid", "--uts", "--mount", "--"]
