"""How things stand as Prometheus' metrics, read from the ledger alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from prometheus_client.core import GaugeMetricFamily as Gauge

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.monitoring import figures
from dagster_project.monitoring.lateness import Expected, expect_due, lateness
from dagster_project.warehouse.connection import Connection

ACCOUNT: Final = ("source", "account")


def account_metrics(connection: Connection, settings: Settings) -> list[Gauge]:
    """What stands, by account: those that are configured, and those that were ever loaded.

    It needs no vendor's credentials; without them a site's days are those of its source's zone. An
    account that was never loaded has a lag alone.
    """
    lag = Gauge("warehouse_lag_days", "Due days after the newest loaded one.", labels=ACCOUNT)
    gaps = Gauge("warehouse_gap_days", "Missing days: due, and never loaded.", labels=ACCOUNT)
    rows = Gauge("warehouse_rows", "Rows that stand.", labels=ACCOUNT)
    unsettled = Gauge("warehouse_unsettled_days", "Days that may still change.", labels=ACCOUNT)
    held = Gauge("warehouse_held_days", "Days whose newer answer was held back.", labels=ACCOUNT)
    last = Gauge(
        "warehouse_last_load_timestamp_seconds", "When a day was loaded last.", labels=ACCOUNT
    )
    rejected = Gauge(
        "warehouse_rejected_records",
        "Records that could not be loaded, and stand.",
        labels=ACCOUNT,
    )
    loads = figures.read_loads(connection)
    expected = _expected(settings, loads)
    found = lateness(connection, [one for one, _ in expected.values()])
    begun = figures.first_asked(connection, [k for k, one in found.items() if one.newest is None])
    otherwise = figures.last_asked(connection)
    for key, late in found.items():
        began = begun.get(key, otherwise).astimezone(expected[key][1]).date()
        lag.add_metric(key, _days_behind(late.newest, began, late.due))
        one = loads.get(key)
        if one is None:
            continue
        gaps.add_metric(key, len(late.missing))
        rows.add_metric(key, one.rows)
        unsettled.add_metric(key, one.unsettled)
        held.add_metric(key, one.held)
        last.add_metric(key, one.loaded_at.timestamp())
    for source, account, count in figures.rejects(connection):
        rejected.add_metric((source, account), count)
    return [lag, gaps, rows, unsettled, held, last, rejected]


def _expected(
    settings: Settings, loads: Mapping[figures.Key, figures.AccountLoads]
) -> dict[figures.Key, tuple[Expected, ZoneInfo]]:
    """The newest due day of every account, with its zone."""
    expected = {}
    for feed in FEEDS:
        zones = {account.label: account.time_zone for account in feed.accounts(settings)}
        for label in zones | {label: None for source, label in loads if source == feed.source}:
            zone = zones.get(label) or feed.time_zone(settings)
            expected[feed.source, label] = expect_due(feed, label, zone), zone
    return expected


def _days_behind(newest: date | None, began: date, due: date) -> int:
    """Due days after the newest loaded one; the first night is to load the day before it began."""
    return max((due - (newest or began - timedelta(days=2))).days, 0)


def last_day_metrics(connection: Connection) -> list[Gauge]:
    """What the last 24 hours brought."""
    by_outcome = (*ACCOUNT, "outcome")
    windows = Gauge(
        "warehouse_windows_1d", "Windows asked of vendors in 24 hours.", labels=by_outcome
    )
    requests = Gauge(
        "warehouse_requests_1d",
        "HTTP requests sent in 24 hours, retries included.",
        labels=by_outcome,
    )
    points = Gauge("warehouse_points_1d", "API points that they cost.", labels=by_outcome)
    limited = Gauge(
        "warehouse_answers_429_1d", "Answers of 429 in 24 hours: should be 0.", labels=by_outcome
    )
    rows = Gauge(
        "warehouse_rows_1d",
        "Rows of the loads of 24 hours, by what became of them.",
        labels=(*ACCOUNT, "change"),
    )
    hold = Gauge(
        "warehouse_limiter_hold_seconds",
        "For how long yet a 429 holds a vendor's host.",
        labels=["limiter"],
    )
    for source, account, outcome, count, sent, cost, refused in figures.asked(connection):
        who = (source, account, outcome)
        windows.add_metric(who, count)
        requests.add_metric(who, sent)
        points.add_metric(who, cost)
        limited.add_metric(who, refused)
    for source, account, *counts in figures.loaded(connection):
        for change, count in zip(figures.CHANGES, counts, strict=True):
            rows.add_metric((source, account, change), count)
    for limiter, seconds in figures.holds(connection):
        hold.add_metric([limiter], seconds)
    return [windows, requests, points, limited, rows, hold]


def point_metrics(connection: Connection, settings: Settings) -> list[Gauge]:
    """The budget of the present day, of each account whose calls cost points."""
    used = Gauge(
        "warehouse_points_spent", "API points spent on the account's present day.", labels=ACCOUNT
    )
    bound = Gauge(
        "warehouse_points_budget",
        "API points that may be spent a day, if bounded.",
        labels=ACCOUNT,
    )
    books = figures.spent(connection)
    for feed in FEEDS:
        section = settings.section(feed.settings)
        if feed.quota is None or section is None:
            continue
        for account in feed.accounts(settings):
            who = (feed.source, account.label)
            used.add_metric(who, books.get((*who, clock.today(account.time_zone)), 0))
            points = feed.quota.daily_points(section, account)
            if points is not None:
                bound.add_metric(who, points)
    return [used, bound]
