"""Errors say what, where and the way out; and nothing of a person or a secret."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dagster_project import errors

DAY = date(2024, 5, 1)
ALL = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.WarehouseError)
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_what_can_be_done(kind: type[errors.WarehouseError]) -> None:
    assert kind.recovery
    assert kind.exit_status in (1, 2)
    assert (kind.__doc__ or "").strip()


def test_where_it_happened_stands_first_and_the_way_out_last() -> None:
    error = errors.TryLater("it was away.", source="trust", account="7", window=DAY)
    assert str(error) == "trust account 7 2024-05-01: it was away."
    assert str(errors.SettingsError("wrong.")) == "wrong."


def test_what_the_raiser_did_not_know_is_filled_in_and_nothing_is_overwritten() -> None:
    error = errors.TryLater("it was away.", source="trust")
    assert error.add_context(source="other", account="7", window=DAY) is error
    assert (error.source, error.account, error.window) == ("trust", "7", "2024-05-01")
    assert error.args == (str(error),)


def test_no_phone_shows_in_an_error() -> None:
    error = errors.AnswerNotTrusted("it ends with +79261234567", source="calltouch")
    assert "9261234567" not in str(error)
    assert "9261234567" not in error.what


@pytest.mark.parametrize(
    ("window", "count"), [(None, 0), (DAY, 1), (f"{DAY}..{DAY + timedelta(days=2)}", 3)]
)
def test_the_days_of_a_window_are_known(window: object, count: int) -> None:
    days = errors.TryLater("away", window=window).days_of_window()
    assert days == {DAY + timedelta(days=n) for n in range(count)}


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        (["shrink"], errors.SuspiciouslyShrunk),
        (["rejects"], errors.NoLongerReadable),
        (["shrink", "rejects"], errors.NoLongerReadable),
    ],
)
def test_a_held_answer_is_named_by_its_reason_and_says_how_to_take_it(
    kinds: list[str], kind: type[errors.HeldBack]
) -> None:
    days = [DAY + timedelta(days=1), DAY]
    error = errors.HeldBack.for_kinds(
        days, "it lost rows", kinds, source="calltouch", account="101"
    )
    assert type(error) is kind
    assert error.window == f"{DAY}..{DAY + timedelta(days=1)}"
    assert str(error).endswith(" ".join(f"--accept-{one}" for one in kinds))
    assert "warehouse held --source calltouch --account 101" in str(error)
