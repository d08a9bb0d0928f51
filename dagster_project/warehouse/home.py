"""What lies in ``WAREHOUSE_HOME``: one owner, a lock, and private files written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import SecretStr

from dagster_project.errors import SettingsError, TryLater
from dagster_project.scrub import remember

LOCK_SECONDS = 900


@contextmanager
def claimed(home: Path) -> Iterator[None]:
    """Hold the home's lock; a home that is absent is made.

    Raises:
        SettingsError: it belongs to another user, or cannot be written to.
        TryLater: another process holds the lock for too long.
    """
    descriptor = -1
    try:
        _make(home)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(home / "embedded.lock", flags, 0o600)
        _lock(descriptor, home)
        yield
    except PermissionError as error:
        raise SettingsError(
            f"{home} cannot be written to by this user.",
            way_out="run as the user who made it, or set WAREHOUSE_HOME to a folder of your own.",
        ) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def secret(path: Path) -> SecretStr:
    """What the file holds; a new random text if it is absent."""
    held = path.read_text().strip() if path.exists() else ""
    if not held:
        held = secrets.token_urlsafe(32)
        write_private(path, held + "\n")
    return remember(held)


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner only; an unchanged one is left alone."""
    if path.exists() and path.read_text() == text:
        return
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def host_name() -> str:
    """Which machine this is: its name, and its identity where it has one."""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
        if machine:
            return f"{socket.gethostname()}:{machine}"
    return socket.gethostname()


def _make(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    for name in ("embedded.lock", "secrets", "postgres"):
        with suppress(FileNotFoundError):
            owner = (home / name).stat().st_uid
            if owner != os.geteuid() and not (name == "postgres" and os.geteuid() == 0):
                raise SettingsError(
                    f"{home / name} belongs to another user of this system.",
                    way_out="run as that user, or set WAREHOUSE_HOME to a folder of your own.",
                )
    folder = home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


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
