"""``warehouse metrics``: names that rules and dashboards rely on, read for each scrape."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dagster_project.cli import metrics
from dagster_project.errors import AnswerNotTrusted
from dagster_project.orchestration.run_metrics import run_metrics
from tests.support.operating import House, again, days_back
from tests.support.prometheus import Scrape, Told

ACCOUNT = {"source", "account"}
NAMES = {
    "warehouse_lag_days": ACCOUNT,
    "warehouse_gap_days": ACCOUNT,
    "warehouse_rows": ACCOUNT,
    "warehouse_unsettled_days": ACCOUNT,
    "warehouse_held_days": ACCOUNT,
    "warehouse_last_load_timestamp_seconds": ACCOUNT,
    "warehouse_rejected_records": ACCOUNT,
    "warehouse_windows_1d": {*ACCOUNT, "outcome"},
    "warehouse_requests_1d": {*ACCOUNT, "outcome"},
    "warehouse_points_1d": {*ACCOUNT, "outcome"},
    "warehouse_answers_429_1d": {*ACCOUNT, "outcome"},
    "warehouse_rows_1d": {*ACCOUNT, "change"},
    "warehouse_limiter_hold_seconds": {"limiter"},
    "warehouse_points_spent": ACCOUNT,
    "warehouse_points_budget": ACCOUNT,
    "warehouse_runs": {"status"},
    "warehouse_runs_1d": {"status"},
}
"""As released: rules and dashboards of others go by them."""


@contextmanager
def served(collector: Collector) -> Iterator[str]:
    """The address at which the collector is served."""
    with metrics.listening(collector, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_names_types_and_labels_are_those_that_rules_go_by(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(monkeypatch, CALLTOUCH_DAILY_POINTS="500")
    assert house.refresh(days_back(1, 1))
    with house.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.rejected_record (source, account, record_sha256, reason, original,"
            " first_extraction_id, last_extraction_id) SELECT source, account, '', 'r', '{}',"
            " extraction_id, extraction_id FROM ops.extraction LIMIT 1"
        )
        connection.execute(
            "UPDATE ops.request_slot SET held_until = clock_timestamp() + interval '1 minute'"
        )
    text = metrics.exposition(metrics.Reader(house.settings, partial(run_metrics, house.instance)))
    assert Scrape(text).names == {name: ("gauge", labels) for name, labels in NAMES.items()}
    assert all(f"# HELP {name} " in text for name in NAMES)


def test_labels_are_escaped_and_empty_metrics_left_out(house: House) -> None:
    metric = GaugeMetricFamily("warehouse_rows", "Rows.", labels=["account"])
    metric.add_metric(['a"b\\c\nd'], 2)
    assert metrics.exposition(Told(metric)) == (
        "# HELP warehouse_rows Rows.\n# TYPE warehouse_rows gauge\n"
        'warehouse_rows{account="a\\"b\\\\c\\nd"} 2.0\n'
    )
    none = GaugeMetricFamily("warehouse_none", "None.", labels=["account"])
    reader = metrics.Reader(house.settings, lambda: [none, metric])
    assert "warehouse_none" not in metrics.exposition(reader)
    assert Scrape(metrics.exposition(reader)).value("warehouse_rows", account='a"b\\c\nd') == 2


def test_a_scrape_that_cannot_read_answers_503() -> None:
    with served(Told(failure=AnswerNotTrusted("nothing to read"))) as url:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/metrics", timeout=10)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/", timeout=10)  # noqa: S310


def test_prometheus_is_answered_in_its_text_format() -> None:
    with (
        served(Told(GaugeMetricFamily("warehouse_rows", "Rows.", value=3))) as url,
        urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer,  # noqa: S310
    ):
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert Scrape(answer.read().decode()).value("warehouse_rows") == 3


@pytest.mark.usefixtures("house")
def test_where_it_is_served_is_told_by_the_command() -> None:
    command = [Path(sys.executable).with_name("warehouse"), "metrics", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = re.search(r"http://127\.0\.0\.1:\d+/metrics", process.stdout.readline())
            assert told
            with urllib.request.urlopen(told[0], timeout=60) as answer:  # noqa: S310
                assert "warehouse_runs" in Scrape(answer.read().decode()).names
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
