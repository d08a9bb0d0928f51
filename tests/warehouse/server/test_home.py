"""A home is its owner's alone: whatever the umask, whoever runs the program, and whatever lies in it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dagster_project.errors import SettingsError
from dagster_project.orchestration.instance import own_folder
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.seen_erasures import SeenErasures
from dagster_project.warehouse.server.embedded import ensure_running, stop
from dagster_project.warehouse.server.home import (
    FILES,
    FOLDERS,
    private_folder,
    private_home,
    read_private,
    write_private,
)
from tests.support.operating import environment
from tests.support.programs import need
from tests.warehouse.server.homes import as_nobody, as_root, as_user, ask, mode_of

WAREHOUSE = Path(sys.executable).with_name("warehouse")


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """An account of this system, made for the tests."""
    need("useradd")
    name = f"wh{uuid4().hex[:10]}"
    subprocess.run(
        ["useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", name], check=True
    )
    yield name
    subprocess.run(["userdel", name], check=True)


def make(home: Path) -> None:
    """All that a home has, made under umask 000."""
    before = os.umask(0)
    try:
        ensure_running(home)
        own_folder(home)
        write_private(home / "dagster" / "dagster.yaml", "text\n")
        SeenErasures(home).note("a warehouse", 1)
    finally:
        os.umask(before)


def open_to_others(home: Path) -> list[tuple[str, str]]:
    """What in the home, itself included, has a right for somebody else."""
    found = []
    for path in (home, *home.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077 or (path.is_dir() and mode != 0o700):
            found.append((str(path.relative_to(home)), oct(mode)))
    return found


@as_root
def test_nothing_in_a_users_home_is_open_to_others_and_root_does_not_work_in_it(
    scratch: Path, user: str
) -> None:
    theirs = scratch / "theirs"
    theirs.mkdir()
    shutil.chown(theirs, user)
    home = theirs / "new" / "home"
    try:
        as_user(user, lambda: make(home))
        assert open_to_others(home) == []
        assert mode_of(home.parent) == 0o755, (
            "what is made above it can be written to by nobody else"
        )
        with pytest.raises(PermissionError):
            as_nobody((home / "dagster" / "dagster.yaml").unlink)
        for use in (ensure_running, stop, own_folder, private_home):
            with pytest.raises(
                SettingsError, match=rf"another user of this system: {user}\..*sudo -u {user}"
            ):
                use(home)
        with pytest.raises(SettingsError, match=f"another user of this system: {user}"):
            SeenErasures(home).highest("a warehouse")
    finally:
        as_user(user, lambda: stop(home))


@as_root
def test_roots_home_is_passed_through_by_postgres_and_listed_by_nobody(new_home: Path) -> None:
    make(new_home)
    assert mode_of(new_home) == 0o711
    assert [one for one in open_to_others(new_home) if one[0] != "."] == []
    with pytest.raises(PermissionError):
        as_nobody(lambda: list(new_home.iterdir()))


def test_what_the_command_line_starts_writes_for_its_user_alone(
    warehouse_with_dagster: Warehouse, scratch: Path
) -> None:
    home = scratch / "home"
    given = {k: v for k, v in environment(warehouse_with_dagster, home).items() if v}
    done = subprocess.run(
        [str(WAREHOUSE), "exec", "--", "sh", "-c", 'umask; touch "$DAGSTER_HOME/made"'],
        env={"PATH": os.environ["PATH"], **given},
        cwd=scratch,
        umask=0,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "0077\n", done.stderr
    assert {path.name for path in (home / "dagster").iterdir()} == {"dagster.yaml", "made"}
    assert [one for one in open_to_others(home) if one[0] != "."] == []


def test_what_was_left_open_before_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home, home / "dagster", home / "secrets"):
        folder.mkdir()
        folder.chmod(0o777)
    (home / "erasures.json").write_text("{}")
    (home / "erasures.json").chmod(0o666)
    private_home(home)
    assert [one for one in open_to_others(home) if one[0] != "."] == []
    assert mode_of(home) & 0o066 == 0


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_modes_do_not_hang_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = private_home(tmp_path / "home")
        private_folder(home / "secrets")
        write_private(home / "secrets" / "one", "text\n")
    finally:
        os.umask(before)
    assert [one for one in open_to_others(home) if one[0] != "."] == []
    assert read_private(home / "secrets" / "one") == "text\n"


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_no_part_of_a_home_may_be_a_link(tmp_path: Path, name: str) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    if name in FOLDERS:
        elsewhere.mkdir(mode=0o755)
    else:
        elsewhere.write_text("another's")
        elsewhere.chmod(0o644)
    before = (
        elsewhere.stat().st_mode,
        os.listdir(elsewhere) if name in FOLDERS else elsewhere.read_text(),
    )
    (home / name).symlink_to(elsewhere)
    for use in (private_home, ensure_running):
        with pytest.raises(SettingsError, match=rf"{name} is a symbolic link.*Way out"):
            use(home)
    assert before == (
        elsewhere.stat().st_mode,
        os.listdir(elsewhere) if name in FOLDERS else elsewhere.read_text(),
    )


@pytest.mark.parametrize("use", [private_home, ensure_running, stop])
def test_a_home_that_is_a_link_is_refused(tmp_path: Path, use: Callable[[Path], object]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    with pytest.raises(SettingsError, match="home is a symbolic link"):
        use(tmp_path / "home")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_private_file_is_not_read_or_replaced_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "anothers").write_text("another's")
    (tmp_path / "file").symlink_to(tmp_path / "anothers")
    with pytest.raises(SettingsError, match="symbolic link"):
        read_private(tmp_path / "file")
    with pytest.raises(SettingsError, match="symbolic link"):
        write_private(tmp_path / "file", "ours")
    assert (tmp_path / "anothers").read_text() == "another's"


def test_processes_that_write_one_file_at_once_leave_one_whole_text(tmp_path: Path) -> None:
    file, writers = tmp_path / "file", 6
    loop = (
        "import sys; from pathlib import Path\n"
        "from dagster_project.warehouse.server.home import write_private\n"
        "sys.stdin.readline()\n"
        "for n in range(150): write_private(Path(sys.argv[1]), f'{n % 7} of {sys.argv[2]}\\n' * 50)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", loop, file, str(n)], stdin=subprocess.PIPE)
        for n in range(writers)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in started] == [0] * writers
    lines = (read_private(file) or "").splitlines()
    assert len(lines) == 50
    assert len(set(lines)) == 1
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(tmp_path / "file", "before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(tmp_path / "file", "after")
    assert read_private(tmp_path / "file") == "before"
    assert os.listdir(tmp_path) == ["file"]


@as_root
def test_roots_own_files_are_safe_from_the_account_that_postgres_runs_as(home: Path) -> None:
    """It owns the data directory, so it may put links there; root follows none when it starts Postgres."""
    roots = home.parent / "roots"
    roots.write_text("of root's")
    roots.chmod(0o600)
    for name in ("pg_hba.conf", "warehouse.conf"):
        (home / "postgres" / name).unlink(missing_ok=True)
        (home / "postgres" / name).symlink_to(roots)
    assert ask(ensure_running(home), "SELECT 1") == 1
    assert (roots.read_text(), roots.stat().st_uid) == ("of root's", 0)
    stop(home)
    (home / "postgres" / "startup.log").unlink()
    (home / "postgres" / "startup.log").symlink_to(roots)
    (home / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(SettingsError, match="does not start") as refused:
        ensure_running(home)
    assert "of root's" not in str(refused.value)


@pytest.mark.parametrize(
    "folder", ["/proc/nope", "/dev/null", "/dev/null/within", f"/tmp/{'a' * 300}"]
)
def test_what_cannot_be_a_folder_is_named(folder: str) -> None:
    with pytest.raises(SettingsError, match=r"cannot be the warehouse's home: \w.*WAREHOUSE_HOME"):
        ensure_running(Path(folder))
