"""The dashboard's files: every dataset, metric and filter is tried against bi, as the BI role."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from tests.bi.conftest import DAY, Loads, Readers, sms
from tests.bi.test_messaging_day import statistics
from tests.conftest import PostgresServer

BI = Path(__file__).resolve().parents[2] / "bi"
sys.path.insert(0, str(BI))
bundle = importlib.import_module("bundle")
TABLES = bundle.read_tables()
FILES = {path: yaml.safe_load(text) for path, text in bundle.make_bundle().items()}
DATASETS = {file["uuid"]: file for name, file in FILES.items() if name.startswith("datasets/")}
CHARTS = {file["uuid"]: file for name, file in FILES.items() if name.startswith("charts/")}
DASHBOARD = FILES["dashboards/messaging.yaml"]


def source(dataset: dict[str, Any]) -> str:
    return f"({dataset['sql']})" if dataset["sql"] else f"bi.{dataset['table_name']}"


def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bi_start", BI / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def nothing_loaded(server: PostgresServer) -> Iterator[Readers]:
    """Readers of an empty warehouse, for what changes nothing in it."""
    warehouse = server.fresh()
    yield Readers(warehouse)
    server.drop(warehouse)


@pytest.fixture(scope="module")
def one_sms(server: PostgresServer) -> Iterator[Readers]:
    """Readers of a warehouse with one SMS, for what changes nothing in it."""
    warehouse = server.fresh()
    Loads(warehouse).sms(DAY, [sms("+1")])
    yield Readers(warehouse)
    server.drop(warehouse)


@pytest.mark.parametrize("uuid", DATASETS, ids=lambda uuid: DATASETS[uuid]["table_name"])
def test_a_dataset_has_the_columns_that_its_file_lists(nothing_loaded: Readers, uuid: str) -> None:
    dataset = DATASETS[uuid]
    with nothing_loaded.session("warehouse_bi") as connection:
        cursor = connection.execute(f"SELECT * FROM {source(dataset)} AS d LIMIT 0")
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
    assert names == [column["column_name"] for column in dataset["columns"]]


@pytest.mark.parametrize("uuid", CHARTS, ids=lambda uuid: CHARTS[uuid]["slice_name"])
def test_every_metric_and_filter_of_a_chart_can_be_asked(one_sms: Readers, uuid: str) -> None:
    chart = CHARTS[uuid]
    params = chart["params"]
    dataset = DATASETS[chart["dataset_uuid"]]
    singles = [params[name] for name in ("metric", "timeseries_limit_metric") if name in params]
    metrics = [*params.get("metrics", []), *singles]
    filters = {"WHERE": ["true"], "HAVING": ["true"]}
    for each in params["adhoc_filters"]:
        temporal = each["expressionType"] == "SIMPLE"
        text = f"{each['subject']} < current_date" if temporal else each["sqlExpression"]
        filters[each["clause"]].append(text)
    groups = [params.get("x_axis"), *params.get("all_columns", [])]
    groups += (
        params["groupby"] if isinstance(params.get("groupby"), list) else [params.get("groupby")]
    )
    named = [g if isinstance(g, str) else g["sqlExpression"] for g in groups if g]
    wanted = named + [metric["sqlExpression"] for metric in metrics]
    query = (
        f"SELECT {', '.join(wanted)} FROM {source(dataset)} AS d"
        f" WHERE {' AND '.join(f'({text})' for text in filters['WHERE'])}"
        + (f" GROUP BY {', '.join(named)}" if named else "")
        + f" HAVING {' AND '.join(f'({text})' for text in filters['HAVING'])}"
    )
    one_sms.ask(query.replace("%", "%%"), values=())


def test_the_dashboard_shows_every_chart_and_filters_by_columns_that_exist() -> None:
    shown = {
        item["meta"]["uuid"]
        for item in DASHBOARD["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
    }
    assert shown == set(CHARTS)
    for each in DASHBOARD["metadata"]["native_filter_configuration"]:
        [target] = each["targets"]
        if each["filterType"] == "filter_time":
            assert target == {}
            continue
        columns = DATASETS[target["datasetUuid"]]["columns"]
        assert target["column"]["name"] in {column["column_name"] for column in columns}
    names = [each["name"] for each in DASHBOARD["metadata"]["native_filter_configuration"]]
    assert names == ["Days", "Settled", "Vendor", "Account", "Category", "Campaign", "Country"]


@pytest.mark.parametrize("name", TABLES["tiles"])
def test_a_tile_follows_every_filter_of_its_tab_or_its_title_says_that_it_does_not(
    name: str,
) -> None:
    chart = FILES[f"charts/{name}.yaml"]
    columns = {column["column_name"] for column in DATASETS[chart["dataset_uuid"]]["columns"]}
    number = bundle.numbers_of(TABLES)[name]
    ranges = [one for one in chart["params"]["adhoc_filters"] if one.get("comparator")]
    for each in DASHBOARD["metadata"]["native_filter_configuration"]:
        if f"TAB-{bundle.tab_of(name, TABLES)}" not in each["scope"]["rootPath"]:
            assert number in each["scope"]["excluded"]
            continue
        if number in each["scope"]["excluded"]:
            listed = chart["slice_name"].partition("[not by: ")[2].rstrip("]").split(", ")
            assert each["name"] in listed
        elif each["filterType"] == "filter_time":
            assert [one["subject"] for one in ranges] == ["day"]
        else:
            assert each["targets"][0]["column"]["name"] in columns


def test_what_is_not_settled_is_told_by_the_name_of_a_series_alone() -> None:
    """No pattern hangs on a series' place, and no other chart has these names."""
    assert "decal" not in (BI / "superset_config.py").read_text()
    pale = {name for name in TABLES["layout"]["colors"] if name.startswith("not settled: ")}
    for name, tile in TABLES["tiles"].items():
        series = {
            each["label"] for each in FILES[f"charts/{name}.yaml"]["params"].get("metrics", [])
        }
        if tile["kind"] == "outcomes":
            assert pale < series
            assert series <= set(TABLES["layout"]["colors"])
        else:
            assert not series & pale


@pytest.mark.parametrize("view", TABLES["metrics"])
def test_every_saved_metric_can_be_asked_of_its_view(nothing_loaded: Readers, view: str) -> None:
    with nothing_loaded.session("warehouse_bi") as connection:
        cursor = connection.execute(f"SELECT * FROM bi.{view} LIMIT 0")
        assert cursor.description is not None
        columns = {column.name for column in cursor.description}
    for expression, number_format, meaning, *needs in TABLES["metrics"][view].values():
        assert number_format.startswith((",", "."))
        assert meaning
        if columns.issuperset(needs):
            nothing_loaded.ask(f"SELECT {expression} FROM bi.{view}".replace("%", "%%"), values=())


def test_what_no_vendor_reports_is_not_shown_as_nothing(loads: Loads, readers: Readers) -> None:
    loads.rows("tellody_activity", "main", DAY, [{"sms_sent": 5, "email_sent": 1}], settled=True)
    metrics = bundle.charts.Metrics(
        TABLES["metrics"]["messaging_day"], TABLES["datasets"]["messages"]["columns"]
    )
    source = TABLES["datasets"]["messages"]["sql"]
    shown = {
        name: readers.one(
            f"SELECT {metrics.written(name)} FROM ({source}) m WHERE vendor = 'tellody'"
        )
        for name in ("attempted", "failed", "final_rate")
    }
    assert shown == {"attempted": "6", "failed": "not reported", "final_rate": "not reported"}
    nothing = readers.one(f"SELECT {metrics.written('failed')} FROM ({source}) m WHERE false")
    assert nothing == "no data"


def test_months_are_compared_only_where_both_are_whole(loads: Loads, readers: Readers) -> None:
    march = [date(2024, 3, day) for day in range(1, 32)]
    for day in [*march, DAY]:
        loads.rows("tellody_activity", "main", day, [{"sms_sent": 10, "email_sent": 0}])
    before = readers.ask(
        "SELECT month_start, days, is_whole, attempted_month_before"
        f" FROM ({TABLES['datasets']['months']['sql']}) m"
        " WHERE vendor = 'tellody' AND month_start <= '2024-04-01' ORDER BY 1"
    )
    assert before == [(date(2024, 3, 1), 31, True, None), (DAY, 1, False, 310)]


def test_hours_are_averages_over_the_weekdays_of_the_days_chosen(
    loads: Loads, readers: Readers
) -> None:
    for day, count in ((DAY, 4), (DAY + timedelta(days=7), 2), (DAY + timedelta(days=8), 1)):
        loads.sms(day, [sms(f"+{number}") for number in range(count)])
    expression = TABLES["metrics"]["sms_hour"]["average_per_day"][0]
    averages = readers.ask(
        f"SELECT weekday, {expression} FROM ({TABLES['datasets']['hours']['sql']}) h"
        " GROUP BY weekday ORDER BY 1"
    )
    assert averages == [("1 Mon", 3), ("2 Tue", Decimal("0.5"))]


def test_superset_may_only_read() -> None:
    database = FILES["databases/warehouse.yaml"]
    switches = ("allow_dml", "allow_ctas", "allow_cvas", "allow_file_upload")
    assert [database[switch] for switch in switches] == [False] * 4
    assert "warehouse_bi@" in database["sqlalchemy_uri"]


def test_the_lock_file_pins_by_hash_and_names_no_host() -> None:
    text = (BI / "requirements.lock").read_text()
    pinned = re.findall(r"(?m)^[a-z0-9][\w.-]*(?:\[[\w,-]+\])?==\S+.*\\$", text)
    assert len(pinned) > 100
    assert len(pinned) == len(re.findall(r"(?m)^[a-z0-9].*$", text))
    assert "://" not in text


def test_superset_is_told_no_secret_of_the_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CALLTOUCH_ACCESS_TOKEN", "PII_HASH_KEY", "WAREHOUSE_URL", "TELLODY_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    told = start().environment(tmp_path)
    assert "secret" not in told.values()
    assert told["SUPERSET_CONFIG_PATH"] == str(BI / "superset_config.py")


def test_a_server_of_ones_own_needs_the_bi_roles_own_url(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"WAREHOUSE_URL": "postgresql://me@db.example/w", "PII_HASH_KEY": "0123456789abcdef"}
    settings = load_settings(given, None)
    module = start()
    monkeypatch.delenv("WAREHOUSE_BI_URL", raising=False)
    with pytest.raises(SettingsError, match="WAREHOUSE_BI_URL"):
        module.reader_uri(settings)
    monkeypatch.setenv("WAREHOUSE_BI_URL", "postgresql://bi:pw@db.example/w?sslmode=verify-full")
    uri = "postgresql+psycopg2://bi:pw@db.example/w?sslmode=verify-full"
    assert module.reader_uri(settings) == uri


def test_a_taken_port_is_refused_with_the_way_out() -> None:
    module = start()
    with module.listen(0) as other, pytest.raises(SettingsError, match="SUPERSET_PORT"):
        module.listen(other.getsockname()[1])


def test_outcomes_by_day_are_those_of_the_view_whichever_vendor(
    loads: Loads, readers: Readers
) -> None:
    """Trust may tell of pending messages on a day that no longer changes."""
    day = statistics(DAY, total=9, sent=6, failed=2, received=3, pending=3, unknown=1)
    loads.rows("trust", "1", DAY, [day], settled=True)
    chart = FILES["charts/outcomes.yaml"]
    said = {
        metric["label"]: readers.one(
            f"SELECT {metric['sqlExpression']} FROM {source(DATASETS[chart['dataset_uuid']])} AS d"
        )
        for metric in chart["params"]["metrics"]
    }
    shown = {name: value for name, value in said.items() if value is not None}
    assert shown == {"delivered": 3, "failed": 2, "pending": 3, "undetermined": 1}


def test_a_leap_day_has_no_year_before_and_none_is_counted_twice(
    loads: Loads, readers: Readers
) -> None:
    before, leap, after = date(2023, 2, 28), date(2024, 2, 29), date(2025, 2, 28)
    for day, count in ((before, 2), (leap - timedelta(days=1), 3), (leap, 4), (after, 5)):
        loads.sms(day, [sms(f"+{n}") for n in range(count)])
    found = readers.ask(
        "SELECT to_char(month_start, 'YYYY-MM'), attempted::integer, same_days,"
        " attempted_same_days::integer, attempted_year_before::integer"
        f" FROM ({TABLES['datasets']['months']['sql']}) m WHERE attempted > 0 ORDER BY 1"
    )
    assert found == [
        ("2023-02", 2, 0, None, None),
        ("2024-02", 7, 1, 3, 2),
        ("2025-02", 5, 1, 5, 3),
    ]


def test_a_saved_metric_that_is_called_as_a_column_of_another_view_says_the_same(
    loads: Loads, readers: Readers
) -> None:
    expired = {"outcome": "failed", "reason": "expired", "segments": 2}
    ends = [sms("+1"), sms("+2", outcome="pending"), sms("+3", **expired), sms("+3", **expired)]
    loads.sms(DAY, ends)
    loads.count_months()
    columns = readers.ask(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'bi'"
        " AND data_type IN ('integer', 'bigint', 'numeric')"
    )
    compared = set()
    for view, metrics in TABLES["metrics"].items():
        for name, (expression, *_) in metrics.items():
            for other, column in columns:
                if column == name and other != view:
                    mine = readers.one(f"SELECT {expression} FROM bi.{view}".replace("%", "%%"))
                    theirs = readers.one(f"SELECT sum({column}) FROM bi.{other}")
                    if mine is not None and theirs is not None:
                        assert mine == theirs, f"{name} of {view} and {other}"
                        compared.add(name)
    assert {"attempted", "delivered", "failed", "segments"} <= compared
