"""What windows end with: failures that name their window and show no row."""

from __future__ import annotations

import weakref
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from dagster_project.errors import AnswerNotTrusted, TryLater, Unexpected
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.outcomes import (
    Stopped,
    TooManyRows,
    error_context,
    extraction_outcome,
    forget_locals,
    no_points_error,
    nothing_stored_error,
    raise_safe_errors,
    too_little_read_error,
)

ACCOUNT = Account("calltouch", "701", ZoneInfo("Europe/Moscow"))
DAY = date(2024, 5, 31)
WINDOW = Window(date(2024, 5, 1), DAY, ACCOUNT)
PHONE = "79201234567"


def test_a_bug_is_told_by_kind_and_place_without_its_message() -> None:
    with pytest.raises(Unexpected) as raised, raise_safe_errors("loading"):
        raise ValueError(PHONE)
    assert "unexpected ValueError at test_outcomes.py:" in raised.value.what
    assert raised.value.what.startswith("loading: ")
    assert PHONE not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("error", [TryLater("later."), TooManyRows(5)])
def test_what_is_safe_already_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, raise_safe_errors():
        raise error
    assert raised.value is error


def test_an_error_is_told_where_it_happened_unless_it_knows_better() -> None:
    with pytest.raises(TryLater) as raised, error_context(WINDOW):
        raise TryLater("later.", window=DAY)
    assert (raised.value.source, raised.value.account) == ("calltouch", "701")
    assert raised.value.window == str(DAY)
    with pytest.raises(TryLater) as raised, error_context(WINDOW):
        raise TryLater("later.")
    assert raised.value.window == "2024-05-01..2024-05-31"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TooManyRows(7), ("split", "7 rows", None)),
        (Stopped(), ("abandoned", "interrupted", None)),
        (KeyboardInterrupt(), ("abandoned", "interrupted", None)),
        (AnswerNotTrusted("odd."), ("failed", "odd.", "AnswerNotTrusted")),
        (ValueError(PHONE), ("failed", "ValueError", "ValueError")),
    ],
)
def test_an_extraction_ends_as_what_was_raised_says(
    error: BaseException, outcome: tuple[str, str, str | None]
) -> None:
    assert extraction_outcome(error) == outcome


def test_a_problem_that_is_kept_does_not_keep_the_response_that_caused_it() -> None:
    class Megabytes:
        pass

    def fail() -> None:
        response = Megabytes()
        kept.append(weakref.ref(response))
        raise TryLater("later.")

    kept: list[weakref.ref[Megabytes]] = []
    with pytest.raises(TryLater) as raised:
        fail()
    assert kept[0]() is not None
    forget_locals(raised.value)
    assert kept[0]() is None


def test_each_refusal_offers_the_command_for_its_days() -> None:
    one = str(nothing_stored_error("calltouch", ACCOUNT, DAY))
    assert "warehouse backfill --source calltouch --account 701" in one
    assert "--from 2024-05-31 --to 2024-05-31" in one
    some = str(
        too_little_read_error("calltouch", "701", [DAY, date(2024, 5, 29)], "nothing was read")
    )
    assert "warehouse replay --source calltouch --account 701" in some
    assert "--from 2024-05-29 --to 2024-05-31" in some
    left = no_points_error(ACCOUNT, [DAY, date(2024, 5, 29)], None, "THE_BUDGET")
    assert left.what == "2 days do not fit into what is left of today's points."
    assert "raise THE_BUDGET" in str(left)
    assert "--spread" in str(left)
    assert no_points_error(ACCOUNT, [DAY], TryLater("refused."), "THE_BUDGET").what == "refused."
