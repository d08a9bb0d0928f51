"""Points that the Calltouch client reserves, spends and gives back, in a real ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from dagster_project.errors import (
    QuotaSpent,
)
from dagster_project.model.response import ExtractStats
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget
from tests.transport.scripted_server import Play, reply, reset
from tests.vendors.calltouch.bodies import (
    POINTS,
)
from tests.vendors.calltouch.played import (
    MOSCOW,
    SITE,
    WINDOW,
    Played,
    Spoilt,
    calltouch,
    read,
    sms,
)


@pytest.fixture
def budget(warehouse: Warehouse) -> Iterator[Budget]:
    opened = Budget(warehouse)
    yield opened
    opened.close()


@pytest.fixture
def rate_limiter(budget: Budget) -> RateLimiter:
    return RateLimiter(budget)


ACCOUNT = (SITE.source, SITE.label)
TODAY = datetime(2024, 4, 20, tzinfo=MOSCOW).date()


def test_points_are_counted_for_every_call_that_succeeded(
    rate_limiter: RateLimiter, budget: Budget
) -> None:
    stats = ExtractStats()
    with calltouch(35, rate_limiter=rate_limiter) as (_, client):
        read(client, stats=stats)
    assert stats.points == 8
    assert budget.read_points(*ACCOUNT, TODAY) == (8, 0)


def test_a_call_that_failed_for_certain_is_free_and_one_of_unknown_outcome_is_not(
    rate_limiter: RateLimiter,
    budget: Budget,
) -> None:
    cases: list[tuple[Play, int]] = [
        (reply("", 429), 0),
        (reply("", 500), 0),
        (reply('{"message": "Too Many Requests"}', 429, {"Retry-After": "0"}), 0),
        (reply("", 504), 2),
        (reset(), 2),
        (reply("<html>"), 2),
        (reply(""), 2),
    ]
    spent = 0
    for play, cost in cases:
        stats = ExtractStats()
        vendor = Played([sms(1)], {1: Spoilt(play=play, times=1)})
        with calltouch(vendor, rate_limiter=rate_limiter) as (_, client):
            read(client, stats=stats)
        assert stats.points == 2 + cost, play
        spent += 2 + cost
        assert budget.read_points(*ACCOUNT, TODAY) == (spent, 0)


def test_a_window_that_is_expected_not_to_fit_is_not_begun(
    rate_limiter: RateLimiter, budget: Budget
) -> None:
    with (
        calltouch(35, rate_limiter=rate_limiter, daily_points=7) as (vendor, client),
        pytest.raises(QuotaSpent, match=r"4 calls \(8 points\) do not fit: of 7 points"),
    ):
        read(client, replace(WINDOW, expected_rows=31))
    assert vendor.questions == []
    assert budget.read_points(*ACCOUNT, TODAY) == (0, 0)


def test_a_window_that_turns_out_not_to_fit_stops_after_page_1(
    rate_limiter: RateLimiter, budget: Budget
) -> None:
    with (
        calltouch(35, rate_limiter=rate_limiter, daily_points=7) as (vendor, client),
        pytest.raises(
            QuotaSpent, match=r"3 calls \(6 points\) do not fit: of 7 points .* 2 are spent"
        ),
    ):
        read(client)
    assert vendor.pages_asked == [1]
    assert budget.read_points(*ACCOUNT, TODAY) == (2, 0)


def test_a_window_that_fits_exactly_is_loaded(rate_limiter: RateLimiter, budget: Budget) -> None:
    with calltouch(35, rate_limiter=rate_limiter, daily_points=8) as (_, client):
        assert len(read(client)) == 4
        with pytest.raises(QuotaSpent):
            read(client)
    assert budget.read_points(*ACCOUNT, TODAY) == (8, 0)


def test_what_the_hint_reserved_too_much_is_free_for_others_after_page_1(
    rate_limiter: RateLimiter,
    budget: Budget,
) -> None:
    with calltouch(20, rate_limiter=rate_limiter, daily_points=20) as (_, client):
        reading = client.extract(replace(WINDOW, expected_rows=90), ExtractStats())
        next(reading)
        assert budget.read_points(*ACCOUNT, TODAY) == (2, 16)
        next(reading)
        assert budget.read_points(*ACCOUNT, TODAY) == (4, 0)
        reading.close()  # type: ignore[attr-defined]
    assert budget.read_points(*ACCOUNT, TODAY)[1] == 0


def test_spent_points_that_the_vendor_knows_of_are_told_with_our_own_count(
    rate_limiter: RateLimiter,
) -> None:
    vendor = Played([], refusal=lambda asked: reply(POINTS, 403))
    with (
        calltouch(vendor, rate_limiter=rate_limiter, daily_points=100) as (_, client),
        pytest.raises(QuotaSpent) as failure,
    ):
        read(client)
    assert "the vendor says that the day's points are spent" in str(failure.value)
    assert "0 of 100 points spent" in str(failure.value)
    assert "2024-04-21 00:00 Europe/Moscow" in str(failure.value)


def test_a_429_holds_back_the_whole_host(rate_limiter: RateLimiter) -> None:
    vendor = Played([sms(1)], {1: Spoilt(play=reply("", 429, {"Retry-After": "1"}), times=1)})
    with calltouch(vendor, rate_limiter=rate_limiter) as (_, client):
        began = time.monotonic()
        read(client)
    assert time.monotonic() - began >= 0.9
