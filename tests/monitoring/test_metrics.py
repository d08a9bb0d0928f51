"""How things stand, in Prometheus' terms."""

from __future__ import annotations

from datetime import timedelta

from dagster_project import clock
from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.monitoring.logs import exposition
from dagster_project.monitoring.metrics import account_metrics, last_day_metrics
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days


def samples(text: str) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_lag_and_gaps_count_ended_days_of_accounts_that_were_ever_loaded(
    warehouse: Warehouse,
) -> None:
    settings = load_settings({}, dotenv=None)
    feed = next(feed for feed in FEEDS if feed.source == "calltouch")
    yesterday = clock.today(feed.time_zone(settings)) - timedelta(days=1)
    load_days(
        warehouse,
        "calltouch",
        "101",
        yesterday - timedelta(days=5),
        yesterday - timedelta(days=2),
        rows=4,
    )
    with warehouse.connect(autocommit=True) as connection:
        found = samples(exposition(account_metrics(connection, settings)))
        day = samples(exposition(last_day_metrics(connection)))
    who = '{source="calltouch",account="101"}'
    assert found[f"warehouse_lag_days{who}"] == 2
    assert found[f"warehouse_gap_days{who}"] == 4
    assert found[f"warehouse_rows{who}"] == 8
    assert day['warehouse_windows_1d{source="calltouch",account="101",outcome="complete"}'] == 1


def test_days_that_one_answer_has_told_of_are_no_gaps(warehouse: Warehouse) -> None:
    """As ``warehouse status`` and ``bi.data_status`` have it."""
    settings = load_settings({}, dotenv=None)
    feed = next(feed for feed in FEEDS if feed.source == "tellody_purchases")
    today = clock.today(feed.time_zone(settings))
    first = today - timedelta(days=30)
    load_days(warehouse, "tellody_purchases", "main", first, told_until=today)
    with warehouse.connect(autocommit=True) as connection:
        found = samples(exposition(account_metrics(connection, settings)))
    who = '{source="tellody_purchases",account="main"}'
    assert found[f"warehouse_gap_days{who}"] == 0
    assert found[f"warehouse_lag_days{who}"] == 0
