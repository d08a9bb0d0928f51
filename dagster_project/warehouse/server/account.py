"""The system account that the embedded Postgres runs as.

Postgres refuses to run as root. If we are root, it runs as an existing account (``postgres``, else
``nobody``), which then owns the data directory. Nothing is installed and no account is created. If that
account cannot pass through a folder above the data or the programs, search permission is added to the
folder, and logged.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import SettingsError

log = logging.getLogger(__name__)

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class ServerAccount:
    """A system account; ``is_us`` when it is the one this process runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def has_permission(self, path: Path, user_bits: int) -> bool:
        """Whether ``path`` gives this account all of ``user_bits`` (``stat.S_IXUSR`` …)."""
        bits = self._bits_for_us(path, user_bits)
        return path.stat().st_mode & bits == bits

    def _bits_for_us(self, path: Path, user_bits: int) -> int:
        found = path.stat()
        if found.st_uid == self.uid:
            return user_bits
        return user_bits >> 3 if found.st_gid == self.gid else user_bits >> 6

    def let_through(self, folders: Iterable[Path]) -> None:
        """Add search permission where one of these folders refuses it."""
        for folder in folders:
            if not self.has_permission(folder, stat.S_IXUSR):
                mode = stat.S_IMODE(folder.stat().st_mode)
                folder.chmod(mode | self._bits_for_us(folder, stat.S_IXUSR))
                log.warning(
                    "Search permission added on %s: Postgres runs as %s and passes through it.",
                    folder,
                    self.name,
                )

    def let_read(self, tree: Path, probe: Path) -> None:
        """Make a tree of programs readable, if ``probe`` in it is not (installed under umask 077)."""
        if self.has_permission(probe, stat.S_IRUSR) and self.has_permission(
            probe.parent, stat.S_IRUSR | stat.S_IXUSR
        ):
            return
        for path in (tree, *tree.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                runs = path.is_dir() or mode & stat.S_IXUSR
                path.chmod(mode | stat.S_IRGRP | stat.S_IROTH | (0o011 if runs else 0))
        log.warning("Read permission added on %s: Postgres runs as %s.", tree, self.name)


def server_account(data: Path) -> ServerAccount:
    """Our own account; for root, the owner of the data directory, else an existing account."""
    if os.geteuid() != 0:
        return ServerAccount(_name_of(os.geteuid()), os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return ServerAccount(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in CANDIDATES:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerAccount(name, entry.pw_uid, entry.pw_gid)
    raise SettingsError(
        "Postgres does not run as root, and this system has no account 'postgres' or 'nobody'.",
        hint="run as an ordinary user, or point WAREHOUSE_URL at a Postgres server.",
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise SettingsError(
            f"the user number {uid} has no name on this system, and Postgres asks for one.",
            hint="add it to /etc/passwd, or point WAREHOUSE_URL at a Postgres server.",
        ) from None
