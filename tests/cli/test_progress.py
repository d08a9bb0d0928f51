"""Progress in a log: a line now and then, and one at the end; problems at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dagster_project.cli.progress import Progress
from dagster_project.errors import TryLater
from dagster_project.model.receipt import Receipt
from dagster_project.pipeline.outcomes import Cost, WindowDone

NOON = datetime(2024, 5, 2, 12, tzinfo=UTC)
FIRST = date(2024, 5, 1)


def done(account: str, *days: date, rows: int = 10) -> WindowDone:
    receipts = {
        day: [Receipt("calltouch", account, day, 1, NOON, rows_received=rows)] for day in days
    }
    committed = [receipt for of_day in receipts.values() for receipt in of_day]
    return WindowDone(days=receipts, costs=dict.fromkeys(days, Cost()), receipts=committed)


def test_a_day_counts_once_all_accounts_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    days = [FIRST + timedelta(days=n) for n in range(2)]
    with Progress("calltouch", days=2, accounts=2) as progress:
        progress.advance(done("101", *days))
        assert progress.done == 1
        assert capsys.readouterr().err == "", "no line yet: little time has passed"
        progress.advance(done("102", *days))
    assert progress.done == 2
    line = capsys.readouterr().err
    assert line.startswith("calltouch: 2 of 2 days, 40 rows, 0 requests, ")


def test_a_problem_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    chunk = done("101", FIRST)
    chunk.problems.append(TryLater("it was away.", source="calltouch"))
    with Progress("calltouch", days=9) as progress:
        progress.advance(chunk)
    assert "TryLater: calltouch: it was away." in capsys.readouterr().err
