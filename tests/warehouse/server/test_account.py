"""Who the embedded Postgres runs as, and what that account may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.server import account as module
from dagster_project.warehouse.server.account import ServerAccount, server_account

STRANGER = ServerAccount("somebody", 2_000_000_001, 2_000_000_001)


def test_an_ordinary_user_is_the_account_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    monkeypatch.setattr(module, "_name_of", lambda uid: f"user {uid}")
    found = server_account(tmp_path)
    assert (found.name, found.uid, found.is_us) == ("user 1", 1, True)


def test_root_hands_over_to_an_account_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = server_account(tmp_path / "absent")
    assert found.name in module.CANDIDATES
    assert not found.is_us


def test_root_without_such_an_account_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "CANDIDATES", ("no_such_account",))
    with pytest.raises(SettingsError, match="no account"):
        server_account(tmp_path / "absent")


def test_only_the_missing_search_permission_is_added(tmp_path: Path) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "opened"
    closed.mkdir(mode=0o700)
    opened.mkdir(mode=0o711)
    opened.chmod(0o711)
    STRANGER.let_through([closed, opened])
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert stat.S_IMODE(opened.stat().st_mode) == 0o711


def test_programs_become_readable_where_they_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o700)
    program, notes = folder / "postgres", folder / "notes"
    program.touch(mode=0o700)
    notes.touch(mode=0o600)
    STRANGER.let_read(folder, program)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, program, notes)]
    assert modes == [0o755, 0o755, 0o644]
    assert STRANGER.has_permission(program, stat.S_IRUSR | stat.S_IXUSR)
