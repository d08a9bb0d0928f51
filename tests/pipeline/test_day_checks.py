"""What the checks say of a loaded day, told of each account."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from dagster_project.model.check_outcome import CheckOutcome
from dagster_project.model.receipt import Receipt
from dagster_project.pipeline.day_checks import outcomes_of

DAY = date(2024, 5, 13)
AT = datetime(2024, 5, 14, tzinfo=UTC)


def loaded(rows: int, account: str = "101", **rejected: int) -> Receipt:
    return Receipt(
        *("calltouch", account, DAY, 1, AT),
        rows_received=rows + sum(rejected.values()),
        rows_inserted=rows,
        rows_rejected=sum(rejected.values()),
        notes={"rejected": rejected} if rejected else {},
    )


def outcome(name: str, receipts: list[Receipt], before: list[int] | None = None) -> CheckOutcome:
    volumes = {(receipt.account, DAY): before or [] for receipt in receipts}
    [found] = [one for one in outcomes_of(receipts, volumes) if one.name == name]
    return found


@pytest.mark.parametrize(("before", "passes"), [([400] * 2, True), ([400] * 3, False)])
def test_a_volume_is_usual_from_three_samples_on(before: list[int], passes: bool) -> None:
    found = outcome("plausible_volume", [loaded(20)], before)
    assert found.passed is passes
    assert ("usual on a Monday: 400" in found.said) is not passes


def test_a_drop_of_one_account_is_not_hidden_by_the_others() -> None:
    receipts = [loaded(4_000, "101"), loaded(10, "102")]
    volumes = {("101", DAY): [4_000] * 4, ("102", DAY): [300] * 4}
    [found] = [o for o in outcomes_of(receipts, volumes) if o.name == "plausible_volume"]
    assert not found.passed
    assert "102 dropped" in found.said


def test_rejects_are_told_with_their_reasons_as_causes() -> None:
    found = outcome("no_rejects", [loaded(5, **{"no date": 2, "no phone": 1})])
    assert not found.passed
    assert found.said == "3 records rejected: 2 no date, 1 no phone; see ops.rejected_record"
    assert found.causes == ("no date", "no phone")
    assert outcome("no_rejects", [loaded(5)]).causes == ()


def test_records_that_do_not_add_up_are_no_complete_day() -> None:
    receipt = loaded(5)
    receipt.rows_received = 6
    assert not outcome("complete", [receipt]).passed
