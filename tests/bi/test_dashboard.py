"""The dashboard's files: every dataset, metric and filter is tried against bi, as the BI role."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from tests.bi.conftest import DAY, Loads, Readers, sms

BI = Path(__file__).resolve().parents[2] / "bi"
FILES = {
    str(path.relative_to(BI / "dashboard")): yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((BI / "dashboard").rglob("*.yaml"))
}
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


@pytest.mark.parametrize("uuid", DATASETS, ids=lambda uuid: DATASETS[uuid]["table_name"])
def test_a_dataset_has_the_columns_that_its_file_lists(readers: Readers, uuid: str) -> None:
    dataset = DATASETS[uuid]
    with readers.session("warehouse_bi") as connection:
        cursor = connection.execute(f"SELECT * FROM {source(dataset)} AS d LIMIT 0")
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
    assert names == [column["column_name"] for column in dataset["columns"]]


@pytest.mark.parametrize("uuid", CHARTS, ids=lambda uuid: CHARTS[uuid]["slice_name"])
def test_every_metric_and_filter_of_a_chart_can_be_asked(
    loads: Loads, readers: Readers, uuid: str
) -> None:
    loads.sms(DAY, [sms("+1")])
    chart = CHARTS[uuid]
    params = chart["params"]
    dataset = DATASETS[chart["dataset_uuid"]]
    metrics = [*params.get("metrics", []), *([params["metric"]] if "metric" in params else [])]
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
    readers.ask(query.replace("%", "%%"), values=())


def test_the_dashboard_shows_every_chart_and_filters_by_columns_that_exist() -> None:
    shown = {
        item["meta"]["uuid"]
        for item in DASHBOARD["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
    }
    assert shown == set(CHARTS)
    for each in DASHBOARD["metadata"]["native_filter_configuration"]:
        [target] = each["targets"]
        columns = DATASETS[target["datasetUuid"]]["columns"]
        assert target["column"]["name"] in {column["column_name"] for column in columns}
    names = [each["name"] for each in DASHBOARD["metadata"]["native_filter_configuration"]]
    assert names == ["Vendor", "Account", "Category", "Campaign", "Country"]


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
    with module.socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SettingsError, match="SUPERSET_PORT"):
            module.free(other.getsockname()[1])
