"""How things stand, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily

from dagster_project import clock
from dagster_project.cli.metrics import exposition
from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.monitoring.lateness import due_until
from dagster_project.monitoring.metrics import account_metrics, last_day_metrics
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days
from tests.support.prometheus import Scrape, Told


def scraped(metrics: Iterable[GaugeMetricFamily]) -> Scrape:
    return Scrape(exposition(Told(*metrics)))


def test_lag_and_gaps_count_due_days_of_accounts_that_were_ever_loaded(
    warehouse: Warehouse,
) -> None:
    settings = load_settings({}, dotenv=None)
    feed = next(feed for feed in FEEDS if feed.source == "calltouch")
    newest = due_until(feed.time_zone(settings), clock.now())
    load_days(
        warehouse,
        "calltouch",
        "101",
        newest - timedelta(days=5),
        newest - timedelta(days=2),
        rows=4,
    )
    with warehouse.connect(autocommit=True) as connection:
        found = scraped(account_metrics(connection, settings))
        day = scraped(last_day_metrics(connection))
    who = {"source": "calltouch", "account": "101"}
    assert found.value("warehouse_lag_days", **who) == 2
    assert found.value("warehouse_gap_days", **who) == 4
    assert found.value("warehouse_rows", **who) == 8
    assert day.value("warehouse_windows_1d", **who, outcome="complete") == 1


def test_days_that_one_answer_has_told_of_are_no_gaps(warehouse: Warehouse) -> None:
    """As ``warehouse status`` and ``bi.data_status`` have it."""
    settings = load_settings({}, dotenv=None)
    feed = next(feed for feed in FEEDS if feed.source == "tellody_purchases")
    today = clock.today(feed.time_zone(settings))
    first = today - timedelta(days=30)
    load_days(warehouse, "tellody_purchases", "main", first, told_until=today)
    with warehouse.connect(autocommit=True) as connection:
        found = scraped(account_metrics(connection, settings))
    who = {"source": "tellody_purchases", "account": "main"}
    assert found.value("warehouse_gap_days", **who) == 0
    assert found.value("warehouse_lag_days", **who) == 0


def test_an_account_that_was_never_loaded_lags_since_it_was_first_asked_for(
    warehouse: Warehouse,
) -> None:
    """Not since the first partition: its first night is to load one day."""
    given = {"CALLTOUCH_ACCESS_TOKEN": "tOk-3n", "CALLTOUCH_SITE_IDS": "101"}
    settings = load_settings({**given, "WAREHOUSE_START_DATE": "2024-01-01"}, dotenv=None)

    def lag() -> float:
        with warehouse.connect(autocommit=True) as connection:
            found = scraped(account_metrics(connection, settings))
        assert {name for name, _ in found.values} == {"warehouse_lag_days"}, "it has a lag alone"
        return found.value("warehouse_lag_days", source="calltouch", account="101")

    assert lag() <= 1, "it was made today"
    with warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.migration SET applied_at = applied_at - interval '9 days'")
    assert lag() in (9, 10), "nobody asks: no daemon runs"
    with warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome,"
            " code_version, started_at) VALUES ('calltouch', '101', '2024-05-01', '2024-05-01',"
            " 'failed', 't', now() - interval '3 days'), ('trust', '11', '2024-05-01',"
            " '2024-05-01', 'failed', 't', now())"
        )
    assert lag() in (3, 4)
    with warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM ops.extraction WHERE source = 'calltouch'")
    assert lag() <= 1, "others are asked, so its first night is still to come"
