"""How things stand as Prometheus' metrics, read from the ledger alone."""

from __future__ import annotations

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.window import ONE_DAY
from dagster_project.monitoring import figures
from dagster_project.monitoring.lateness import expect_ended, lateness
from dagster_project.monitoring.logs import Metric
from dagster_project.warehouse.connection import Connection


def account_metrics(connection: Connection, settings: Settings) -> list[Metric]:
    """What stands, by account: those that are configured, and those that were ever loaded.

    It needs no vendor's credentials; without them a site's days are those of its source's zone. An
    account that was never loaded has a lag alone.
    """
    lag = Metric("warehouse_lag_days", "Ended days since the newest loaded one; 0: up to date.")
    gaps = Metric("warehouse_gap_days", "Days without a receipt since the first loaded one.")
    rows = Metric("warehouse_rows", "Rows that stand.")
    unsettled = Metric("warehouse_unsettled_days", "Loaded days that may still change.")
    held = Metric("warehouse_held_days", "Days whose newer answer was held back.")
    last = Metric("warehouse_last_load_timestamp_seconds", "When a day was loaded last.")
    rejected = Metric("warehouse_rejected_records", "Records that could not be loaded, and stand.")
    loads = figures.read_loads(connection)
    expected = []
    for feed in FEEDS:
        zones = {account.label: account.time_zone for account in feed.accounts(settings)}
        for label in zones | {label: None for source, label in loads if source == feed.source}:
            expected.append(expect_ended(feed, label, zones.get(label) or feed.time_zone(settings)))
    for (source, label), late in lateness(connection, expected).items():
        who = {"source": source, "account": label}
        newest = late.newest or settings.start_date - ONE_DAY
        lag.add(max((late.due - newest).days, 0), **who)
        one = loads.get((source, label))
        if one is None:
            continue
        gaps.add(len(late.missing), **who)
        rows.add(one.rows, **who)
        unsettled.add(one.unsettled, **who)
        held.add(one.held, **who)
        last.add(one.loaded_at.timestamp(), **who)
    for source, label, count in figures.rejects(connection):
        rejected.add(count, source=source, account=label)
    return [lag, gaps, rows, unsettled, held, last, rejected]


def last_day_metrics(connection: Connection) -> list[Metric]:
    """What the last 24 hours brought."""
    windows = Metric("warehouse_windows_1d", "Windows asked of vendors in 24 hours, by outcome.")
    requests = Metric("warehouse_requests_1d", "HTTP requests sent in 24 hours, retries included.")
    points = Metric("warehouse_points_1d", "API points that they cost.")
    limited = Metric("warehouse_answers_429_1d", "Answers of 429 in 24 hours: should be 0.")
    rows = Metric("warehouse_rows_1d", "Rows of the loads of 24 hours, by what became of them.")
    hold = Metric("warehouse_limiter_hold_seconds", "For how long yet a 429 holds a vendor's host.")
    for source, account, outcome, count, sent, cost, refused in figures.asked(connection):
        who = {"source": source, "account": account, "outcome": outcome}
        windows.add(count, **who)
        requests.add(sent, **who)
        points.add(cost, **who)
        limited.add(refused, **who)
    for source, account, *counts in figures.loaded(connection):
        for change, count in zip(figures.CHANGES, counts, strict=True):
            rows.add(count, source=source, account=account, change=change)
    for limiter, seconds in figures.holds(connection):
        hold.add(seconds, limiter=limiter)
    return [windows, requests, points, limited, rows, hold]


def point_metrics(connection: Connection, settings: Settings) -> list[Metric]:
    """The budget of the present day, of each account whose calls cost points."""
    used = Metric("warehouse_points_spent", "API points spent on the account's present day.")
    bound = Metric("warehouse_points_budget", "API points that may be spent a day, if bounded.")
    books = figures.spent(connection)
    for feed in FEEDS:
        section = settings.section(feed.settings)
        if feed.quota is None or section is None:
            continue
        for account in feed.accounts(settings):
            who = {"source": feed.source, "account": account.label}
            today = clock.today(account.time_zone)
            used.add(books.get((feed.source, account.label, today), 0), **who)
            points = feed.quota.daily_points(section, account)
            if points is not None:
                bound.add(points, **who)
    return [used, bound]
