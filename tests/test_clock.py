"""The one clock, and how tests play with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dagster_project import clock


def test_without_a_file_it_is_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(clock.CLOCK_FILE, raising=False)
    assert clock.shift() == timedelta()
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


def test_a_file_moves_it_and_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clock"
    monkeypatch.setenv(clock.CLOCK_FILE, str(file))
    for days in (400, -400):
        file.write_text(str(timedelta(days=days).total_seconds()))
        assert clock.shift() == timedelta(days=days)
        assert abs(clock.now() - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)


def test_the_day_is_the_zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clock"
    evening = datetime(2024, 5, 1, 22, 30, tzinfo=UTC)
    file.write_text(str((evening - datetime.now(UTC)).total_seconds()))
    monkeypatch.setenv(clock.CLOCK_FILE, str(file))
    assert clock.today(ZoneInfo("UTC")).isoformat() == "2024-05-01"
    assert clock.today(ZoneInfo("Europe/Moscow")).isoformat() == "2024-05-02"
