"""Causes of failures: each once, with its accounts, days and way out."""

from __future__ import annotations

from dagster_project.errors import TryLater, WarehouseError
from dagster_project.monitoring.causes import SHOWN, cause_lines


def test_equal_texts_are_one_cause_with_all_accounts_days_and_commands() -> None:
    problems: list[WarehouseError] = [
        TryLater(
            "the host does not answer.",
            source="calltouch",
            account=account,
            window=f"2024-04-0{day}",
            hint=f"warehouse backfill --source calltouch --from 2024-04-0{day} --to 2024-04-0{day}",
        )
        for account in ("2", "1")
        for day in (1, 2, 4)
    ]
    assert cause_lines(problems) == [
        "TryLater: the host does not answer. (1, 2; 2024-04-01..2024-04-02, 2024-04-04) Way out:"
        " warehouse backfill --source calltouch --from 2024-04-01 --to 2024-04-02;"
        " warehouse backfill --source calltouch --from 2024-04-04 --to 2024-04-04"
    ]


def test_of_many_causes_the_first_are_told_and_the_others_counted() -> None:
    lines = cause_lines([TryLater(f"cause {'x' * n}.") for n in range(SHOWN + 3)])
    assert lines[0] == "TryLater: cause ."
    assert lines[-1] == "and 3 causes more"
    assert len(lines) == SHOWN + 1
