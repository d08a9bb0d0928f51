"""Why the embedded Postgres did not start: the reason from its logs, and the way out.

It writes to ``startup.log`` until its own log in ``log/`` takes over. Which of the two has the reason
depends on how far it came. Both hold messages of the server, and no text or value of a statement
(``settings.py``); of clients that knock meanwhile nothing is quoted.
"""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

_PREFIX = re.compile(r"^.*?\b(?:LOG|WARNING|FATAL|PANIC|ERROR):\s+")
_SEVERE = re.compile(r"\b(?:FATAL|PANIC|error):")
_SYSTEM = re.compile(
    r"Permission denied|Address already in use|No space left on device|Cannot allocate memory"
    r"|Read-only file system|Too many open files|Operation not permitted|Input/output error"
)
_OF_CLIENTS = re.compile(
    r"the database system is |authentication failed|pg_hba\.conf entry|(?:role|database) \"|unsupported frontend"
)
LONGEST_READ = 1_000_000
_NO_RIGHTS = re.compile(
    r"Permission denied|Operation not permitted|wrong ownership|invalid permissions"
)
_WAYS_OUT = (
    ("No space left on device", "free space where {data} is, and run again"),
    ("Read-only file system", "make the file system of {data} writable, and run again"),
    ("Cannot allocate memory", "give it memory (half a GB is enough), and run again"),
    ("Too many open files", "raise the limit of open files (ulimit -n), and run again"),
    (
        "Address already in use",
        "run again: it takes another port where its own is somebody else's",
    ),
    (
        "checkpoint record",
        "restore {data} from a backup, or set WAREHOUSE_HOME to a new folder and load again",
    ),
)


class StartFailed(Exception):
    """``initdb`` or ``pg_ctl start`` gave up; ``output`` holds what Postgres wrote while it tried."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output

    @property
    def is_port_taken(self) -> bool:
        return "Address already in use" in self.output

    @property
    def reason(self) -> str:
        """What it died of, and what the system answered it where that stands in a line before."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        lines = [line for line in lines if not _OF_CLIENTS.search(line)]
        severe = [line for line in lines if _SEVERE.search(line)]
        system = [line for line in lines if _SYSTEM.search(line)]
        told = (severe or system or lines or ["it gives no reason"])[-1]
        if system and not _SYSTEM.search(told):
            return f"{_PREFIX.sub('', system[-1])}; {_PREFIX.sub('', told)}"
        return _PREFIX.sub("", told)

    def way_out(self, data: Path, runs_as: str) -> str:
        """What to do about it; ``runs_as`` is the account of the server."""
        if _NO_RIGHTS.search(self.reason):
            quoted = shlex.quote(str(data))
            return (
                f"all in {data} belongs to {runs_as}, whom Postgres runs as:"
                f" chown -R {runs_as}: {quoted} && chmod -R u+rwX,go= {quoted}"
            )
        otherwise = "see that all in {data} belongs to {runs_as} and is whole, and run again"
        found = next((way for sign, way in _WAYS_OUT if sign in self.reason), otherwise)
        return found.format(data=data, runs_as=runs_as)


class ServerLog:
    """The files of ``log/`` in a data directory, read on from where they were when this was made.

    The directory belongs to the account that Postgres runs as: links in it are not followed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = self._sizes()

    def written_since(self) -> str:
        """What was written since, at most the last part of each file."""
        parts = []
        for name, size in self._sizes().items():
            before = self._before.get(name, 0)
            begin = before if size >= before else 0
            if size > begin:
                parts.append(self._read(name, max(begin, size - LONGEST_READ)))
        return "\n".join(parts)

    def _sizes(self) -> dict[str, int]:
        with suppress(OSError):
            return {
                one.name: one.stat(follow_symlinks=False).st_size
                for one in sorted(os.scandir(self.folder), key=lambda one: one.name)
                if one.is_file(follow_symlinks=False)
            }
        return {}

    def _read(self, name: str, begin: int) -> str:
        with suppress(OSError):
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            finally:
                os.close(folder)
            with os.fdopen(file, "rb") as opened:
                opened.seek(begin)
                return opened.read(LONGEST_READ).decode(errors="replace")
        return ""
