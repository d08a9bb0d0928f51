"""What a window may spend of an account's points, and on which day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from dagster_project.errors import QuotaSpent
from dagster_project.model.window import Account
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget

SITE = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
NOON = datetime(2024, 4, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def budget(warehouse: Warehouse) -> Iterator[Budget]:
    opened = Budget(warehouse, reconnect_seconds=10)
    yield opened
    opened.close()


@pytest.fixture
def rate_limiter(budget: Budget) -> RateLimiter:
    return RateLimiter(budget)


def test_what_does_not_fit_the_budget_is_refused_with_what_was_spent_and_when_it_resets(
    rate_limiter: RateLimiter,
    budget: Budget,
) -> None:
    with rate_limiter.claim_points(SITE, 20, now=lambda: NOON) as points:
        points.reserve(6)
        points.spend_call()
        with pytest.raises(QuotaSpent) as refusal:
            rate_limiter.claim_points(
                SITE, 20, now=lambda: NOON, setting="CALLTOUCH_DAILY_POINTS"
            ).reserve(5)
    assert str(refusal.value) == (
        "calltouch account 101: 5 calls (10 points) do not fit: of 20 points for 2024-04-01 2 are"
        " spent, 10 are set aside by other windows, 8 are left; the budget resets at"
        " 2024-04-02 00:00 Europe/Moscow. Way out: run again after that, or raise"
        " CALLTOUCH_DAILY_POINTS."
    )
    assert budget.read_points("calltouch", "101", date(2024, 4, 1)) == (2, 0)


def test_the_day_of_a_call_is_the_accounts_own(
    rate_limiter: RateLimiter,
) -> None:
    late = datetime(2024, 3, 31, 22, 30, tzinfo=UTC)
    with rate_limiter.claim_points(SITE, 2, now=lambda: late) as points:
        assert points.spend_call() == date(2024, 4, 1)
    with pytest.raises(QuotaSpent):
        rate_limiter.claim_points(SITE, 2, now=lambda: late).spend_call()


def test_a_refund_makes_room_again(rate_limiter: RateLimiter) -> None:
    with rate_limiter.claim_points(SITE, 2, now=lambda: NOON) as points:
        points.refund(points.spend_call())
        points.spend_call()
        with pytest.raises(QuotaSpent, match="of 2 points for 2024-04-01 2 are spent, 0 are left"):
            points.spend_call()


def test_what_is_left_is_said_in_a_sentence(rate_limiter: RateLimiter) -> None:
    with rate_limiter.claim_points(SITE, 20, now=lambda: NOON) as points:
        points.spend_call()
        points.reserve(3)
        assert points.describe() == (
            "Counted here for 2024-04-01: 2 of 20 points spent, 6 set aside;"
            " the budget resets at 2024-04-02 00:00 Europe/Moscow."
        )
