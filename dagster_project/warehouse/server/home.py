"""``WAREHOUSE_HOME``: its owner, its lock, and private files that are written whole or not at all.

Folders have mode 0700 and files 0600, whatever the umask. No symbolic link is followed: whoever put one into
the home could choose which file is read or replaced. Root's home has mode 0711, since the account that runs
Postgres passes through it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import SecretStr

from dagster_project.errors import SettingsError, TryLater
from dagster_project.text.scrub import remember_secret

LOCK_SECONDS = 900
SERVER_DATA = "postgres"
FOLDERS = ("secrets", "dagster", "superset", SERVER_DATA)
FILES = (
    *("embedded.lock", "embedded.json", "erasures.lock", "erasures.json"),
    *("demo.json", "accounts.csv", "templates.csv"),
)
PARENT_MODE = 0o755


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Hold the home's lock inside the block; create the home if it is absent.

    Raises:
        SettingsError: it belongs to another user, is a symbolic link, or cannot be written to.
        TryLater: another process holds the lock for too long.
    """
    with refuse_others_folders(home):
        home = private_home(home)
        private_folder(home / "secrets")
        with hold_lock(
            home / "embedded.lock", f"another process is starting the Postgres in {home}."
        ):
            yield


@contextmanager
def refuse_others_folders(home: Path) -> Iterator[None]:
    """Turn missing rights inside the block into an error that names the home.

    Raises:
        SettingsError: this user may not read or write in the home.
    """
    try:
        yield
    except PermissionError as error:
        raise SettingsError(
            f"{home} cannot be written to by this user.",
            hint="run as the user who made it, or set WAREHOUSE_HOME to a folder of your own.",
        ) from error


def private_home(home: Path) -> Path:
    """The home's real path; it is created if absent, and its parts are checked to be private and this user's.

    Raises:
        SettingsError: it cannot be a folder; it, or something in it, belongs to another user or is a symbolic link.
    """
    refuse_link(home)
    _make_home(home)
    home = home.resolve()
    owner = home.stat().st_uid
    # A volume that is mounted as the home may be root's.
    if owner != 0:
        refuse_other_owner(home)
    if owner == os.geteuid():
        _restrict(home, _home_mode())
    for name in (*FOLDERS, *FILES):
        _check_part(home / name)
    return home


def private_folder(folder: Path) -> Path:
    """The folder, with mode 0700 and owned by this user; it is created if absent."""
    refuse_link(folder)
    _make_parents(folder)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    refuse_other_owner(folder)
    _restrict(folder, 0o700)
    return folder


@contextmanager
def hold_lock(
    path: Path, refusal: str, *, hint: str = "", patience: float = LOCK_SECONDS
) -> Iterator[int]:
    """Hold a lock on this file inside the block; create the file if it is absent.

    A process that inherits the file's descriptor, which is yielded, holds the lock until its own end.

    Raises:
        TryLater: another process holds it for longer than ``patience``; ``refusal`` says so.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = _open(path, flags)
    try:
        os.fchmod(descriptor, 0o600)
        _lock(descriptor, TryLater(refusal, hint=hint), patience)
        yield descriptor
    finally:
        os.close(descriptor)


def read_or_make_secret(path: Path) -> SecretStr:
    """Read the file's secret; write a new random one if the file is absent."""
    held = (read_private(path) or "").strip()
    if not held:
        held = secrets.token_urlsafe(32)
        write_private(path, held + "\n")
    return SecretStr(remember_secret(held))


def read_private(path: Path) -> str | None:
    """Read the file; None if there is none.

    Raises:
        SettingsError: it is a symbolic link, or another user's.
    """
    try:
        descriptor = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor) as file:
        if os.fstat(descriptor).st_uid != 0:
            refuse_other_owner(path)
        return file.read()


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner only; an unchanged one is left alone.

    Of processes that write at once, each writes a draft of its own: the last one's text stands.
    """
    if read_private(path) == text:
        path.chmod(0o600)
        return
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link."""
    try:
        is_link = path.is_symlink()
    except OSError as error:
        raise _home_error(path, error.strerror) from error
    if is_link:
        raise _link_error(path)


def refuse_other_owner(path: Path) -> None:
    """Refuse a file or folder of another user."""
    owner = path.lstat().st_uid
    if owner != os.geteuid():
        name = user_name(owner)
        raise SettingsError(
            f"{path} belongs to another user of this system: {name}.",
            hint=f"run as that user (sudo -u {name} …), or set WAREHOUSE_HOME to a folder of your own.",
        )


def user_name(uid: int) -> str:
    """The account's name; its number if it has none."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"#{uid}"


def host_name() -> str:
    """This machine's name, with its machine id if it has one."""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
        if machine:
            return f"{socket.gethostname()}:{machine}"
    return socket.gethostname()


def _home_mode() -> int:
    return 0o711 if os.geteuid() == 0 else 0o700


def _make_home(home: Path) -> None:
    try:
        _make_parents(home)
        with suppress(FileExistsError):
            home.mkdir(mode=0o700)
            home.chmod(_home_mode())
        if home.is_dir():
            return
    except PermissionError:
        raise
    except OSError as error:
        raise _home_error(home, error.strerror) from error
    raise _home_error(home, os.strerror(errno.ENOTDIR))


def _home_error(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(
        f"{path} cannot be the warehouse's home: {reason}.",
        hint="set WAREHOUSE_HOME to a folder of your own.",
    )


def _make_parents(home: Path) -> None:
    for parent in reversed(home.absolute().parents):
        with suppress(FileExistsError):
            if not parent.exists():
                parent.mkdir(mode=PARENT_MODE)


def _check_part(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    refuse_link(path)
    if path.name == SERVER_DATA and os.geteuid() == 0:
        return
    refuse_other_owner(path)
    if path.name != SERVER_DATA:
        _restrict(path, 0o700 if stat.S_ISDIR(found.st_mode) else 0o600)


def _restrict(path: Path, most: int) -> None:
    """Remove permissions beyond ``most``; the owner gets all of ``most``."""
    mode = stat.S_IMODE(path.stat().st_mode)
    wanted = mode & most | most & 0o700
    if mode != wanted:
        path.chmod(wanted)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link_error(path) from None
        raise


def _link_error(path: Path) -> SettingsError:
    return SettingsError(
        f"{path} is a symbolic link, and none is followed in the warehouse's home.",
        hint="put the file or folder itself in its place, or set WAREHOUSE_HOME to the real folder.",
    )


def _lock(descriptor: int, refusal: TryLater, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise refusal from None
            time.sleep(0.05)
