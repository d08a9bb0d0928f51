"""Nights of the sources that answer otherwise: rolling weeks, whole histories."""

from __future__ import annotations

from datetime import date

from tests.support.nights import NIGHT, ONE_NIGHT, SANTIAGO_NIGHT, Nights


def test_trust_asks_for_today_where_ranges_are_ignored_and_for_no_other_day(
    nights: Nights,
) -> None:
    nights.sandbox.world.trust.config.range_mode = "ignore"
    nights.go(SANTIAGO_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, 9), date(2024, 5, 10)], "nothing is known yet"
    assert nights.run(request, "trust")
    assert {day for _, _, day in nights.asked("trust")} == {date(2024, 5, 10)}
    assert all(nights.settled("11", "trust").values()), "a rolling day is never read again"
    nights.go(SANTIAGO_NIGHT + 3 * ONE_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, 13)], "days that cannot be answered for are no debt"


def test_trust_asks_for_ended_days_where_ranges_are_honoured(nights: Nights) -> None:
    nights.go(SANTIAGO_NIGHT)
    _, succeeded = nights.pass_night("trust")
    assert succeeded
    assert {day for _, _, day in nights.asked("trust")} == {date(2024, 5, 9)}
    nights.go(SANTIAGO_NIGHT + 2 * ONE_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, n) for n in (9, 10, 11)]


def test_the_history_of_purchases_is_read_once_whatever_days_are_due(nights: Nights) -> None:
    assert nights.house.refresh([date(2024, 5, 1)], "tellody_purchases")
    nights.go(NIGHT + 3 * ONE_NIGHT)
    nights.asked("tellody_purchases")
    requests, succeeded = nights.pass_night("tellody_purchases")
    assert succeeded
    assert len(requests) == len(nights.asked("tellody_purchases")) == 1
    assert date(2024, 5, 12) in nights.settled("main", "tellody_purchases")
