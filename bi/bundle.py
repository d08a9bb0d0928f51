"""The dashboard as Superset imports it, made of the tables in ``bi/dashboard``.

``metrics.yaml`` has the metrics of each view, ``datasets.yaml`` what is asked, ``tiles.yaml`` the tiles,
``layout.yaml`` tabs, filters and colours. ``make_bundle`` answers files as an archive of Superset's export
has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import charts
import yaml

FOLDER = Path(__file__).resolve().parent / "dashboard"
NAMES = UUID("6f0d4a44-5bd0-4b7e-9c83-3f1c6a1d7b52")
DATABASE = "cbdd44a7-1d81-5dc8-89b1-1aa7fdf3d43d"
VERSION = "1.0.0"
TITLES = {"account_label": "account", "gap_days": "days missing", "unsettled_days": "not settled"}
"""Columns that tables show under another name than their own."""


def read_tables() -> dict[str, Any]:
    """The four tables, by name."""
    names = ("metrics", "datasets", "tiles", "layout")
    return {
        name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in names
    }


def make_bundle() -> dict[str, str]:
    """Every file, by its place in the archive."""
    tables = read_tables()
    files = {
        "metadata.yaml": {"version": VERSION, "type": "assets", "timestamp": "2026-01-01T00:00:00"},
        "databases/warehouse.yaml": database(),
        "dashboards/messaging.yaml": dashboard(tables),
    }
    for name, table in tables["datasets"].items():
        files[f"datasets/warehouse/{name}.yaml"] = dataset(name, table, tables)
    for name, tile in tables["tiles"].items():
        files[f"charts/{name}.yaml"] = chart(name, tile, tables)
    return {
        path: yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        for path, content in files.items()
    }


def uuid_of(kind: str, name: str) -> str:
    return str(uuid5(NAMES, f"{kind}/{name}"))


def database() -> dict[str, Any]:
    """The warehouse, to be read alone; where it is and as whom is set by ``superset_setup.py``."""
    forbidden = ("allow_run_async", "allow_ctas", "allow_cvas", "allow_dml", "allow_file_upload")
    return {
        "database_name": "warehouse",
        "sqlalchemy_uri": "postgresql+psycopg2://warehouse_bi@127.0.0.1/warehouse",
        "expose_in_sqllab": True,
        **dict.fromkeys(forbidden, False),
        "extra": {"allows_virtual_table_explore": True},
        "uuid": DATABASE,
        "version": VERSION,
    }


def dataset(name: str, table: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    """A question to bi, with the saved metrics of its view as far as it has their columns."""
    return {
        "table_name": table_name(name),
        "main_dttm_col": "day" if "day" in table["columns"] else None,
        "description": f"Asks bi.{table['view']} for the dashboard.",
        "schema": "bi",
        "sql": table["sql"],
        "filter_select_enabled": True,
        "uuid": uuid_of("dataset", name),
        "metrics": [
            {
                "metric_name": metric,
                "verbose_name": metric.replace("_", " "),
                "expression": expression,
                "d3format": number_format,
                "description": meaning,
            }
            for metric, (expression, number_format, meaning, *_) in saved_metrics(
                table, tables
            ).items()
        ],
        "columns": [
            {
                "column_name": column,
                "verbose_name": TITLES.get(column, column.replace("_", " ")),
                "is_dttm": kind == "DATE",
                "is_active": True,
                "type": kind,
                "groupby": True,
                "filterable": True,
            }
            for column, kind in table["columns"].items()
        ],
        "version": VERSION,
        "database_uuid": DATABASE,
    }


def table_name(name: str) -> str:
    """What Superset lists the dataset as, beside the views of bi themselves."""
    return f"dashboard_{name}"


def saved_metrics(table: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    """Those of the dataset's view; where it has not all the columns, the ones that it lists."""
    saved = tables["metrics"].get(table["view"], {})
    return {name: saved[name] for name in table.get("metrics", saved)}


def chart(name: str, tile: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    source = tables["datasets"][tile["dataset"]]
    metrics = saved_metrics(source, tables)
    viz_type, params = charts.KINDS[tile["kind"]](tile, charts.Metrics(metrics, source["columns"]))
    colors = tables["layout"]["colors"]
    common = {
        "viz_type": viz_type,
        "adhoc_filters": charts.conditions(tile, source["columns"]),
        "color_scheme": "supersetColors",
        "label_colors": colors,
    }
    return {
        "slice_name": title_of(name, tile, tables),
        "description": tile.get("about", ""),
        "viz_type": viz_type,
        "params": common | params,
        "query_context": None,
        "uuid": uuid_of("chart", name),
        "version": VERSION,
        "dataset_uuid": uuid_of("dataset", tile["dataset"]),
    }


def title_of(name: str, tile: dict[str, Any], tables: dict[str, Any]) -> str:
    """The tile's title, which names the filters of its tab that it does not follow."""
    filters = tables["layout"]["filters"]
    shown = [
        filters[one]["title"]
        for one in tile.get("ignores", ())
        if tab_of(name, tables) in filters[one]["tabs"]
    ]
    return f"{tile['title']} [not by: {', '.join(shown)}]" if shown else str(tile["title"])


def tab_of(tile: str, tables: dict[str, Any]) -> str:
    [tab] = [
        name
        for name, tab in tables["layout"]["tabs"].items()
        if any(tile in row["tiles"] for row in tab["rows"])
    ]
    return str(tab)


def dashboard(tables: dict[str, Any]) -> dict[str, Any]:
    layout = tables["layout"]
    return {
        "dashboard_title": layout["title"],
        "description": layout["description"],
        "css": (FOLDER / "style.css").read_text(encoding="utf-8"),
        "slug": layout["slug"],
        "published": True,
        "uuid": layout["uuid"],
        "position": positions(tables),
        "metadata": {
            "native_filter_configuration": [
                native_filter(name, one, tables) for name, one in layout["filters"].items()
            ],
            "filter_bar_orientation": "HORIZONTAL",
            "color_scheme": "supersetColors",
            "label_colors": layout["colors"],
            "shared_label_colors": [],
            "map_label_colors": {},
            "refresh_frequency": 0,
            "cross_filters_enabled": False,
        },
        "version": VERSION,
    }


def positions(tables: dict[str, Any]) -> dict[str, Any]:
    """The grid: tabs, their rows, and in each the tiles."""
    layout = tables["layout"]
    numbers = numbers_of(tables)
    placed: dict[str, Any] = {"DASHBOARD_VERSION_KEY": "v2"}

    def place(key: str, kind: str, above: list[str], children: list[str], **meta: Any) -> None:
        entry: dict[str, Any] = {"type": kind, "id": key, "children": children, "parents": above}
        placed[key] = entry | ({"meta": meta} if meta else {})

    tabs = [f"TAB-{name}" for name in layout["tabs"]]
    place("HEADER_ID", "HEADER", [], [], text=layout["title"])
    place("ROOT_ID", "ROOT", [], ["TABS-all"])
    place("GRID_ID", "GRID", ["ROOT_ID"], [])
    place("TABS-all", "TABS", ["ROOT_ID"], tabs)
    for name, tab in layout["tabs"].items():
        above = ["ROOT_ID", "TABS-all"]
        rows = [f"ROW-{name}-{number}" for number in range(len(tab["rows"]))]
        place(f"TAB-{name}", "TAB", above, rows, text=tab["title"])
        for key, row in zip(rows, tab["rows"], strict=True):
            above_row = [*above, f"TAB-{name}"]
            tiles = [f"CHART-{tile}" for tile in row["tiles"]]
            place(key, "ROW", above_row, tiles, background="BACKGROUND_TRANSPARENT")
            for tile, width in row["tiles"].items():
                place(
                    f"CHART-{tile}", "CHART", [*above_row, key], [], width=width,
                    height=row["height"], chartId=numbers[tile], uuid=uuid_of("chart", tile),
                    sliceName=title_of(tile, tables["tiles"][tile], tables),
                )  # fmt: skip
    return placed


def numbers_of(tables: dict[str, Any]) -> dict[str, int]:
    """Numbers by which the files of one archive speak of its tiles."""
    return {name: number for number, name in enumerate(tables["tiles"], 1)}


def native_filter(name: str, one: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    """A filter of some tabs; tiles that ignore it are left out of its scope."""
    numbers = numbers_of(tables)
    is_time = "column" not in one
    default = one.get("default")
    extra: dict[str, Any] = {}
    if default and is_time:
        extra = {"time_range": default}
    elif default:
        extra = {"filters": [{"col": one["column"], "op": "IN", "val": default}]}
    target = (
        {}
        if is_time
        else {"column": {"name": one["column"]}, "datasetUuid": uuid_of("dataset", one["of"])}
    )
    ignoring = [
        numbers[tile]
        for tile, table in tables["tiles"].items()
        if name in table.get("ignores", ()) or tab_of(tile, tables) not in one["tabs"]
    ]
    return {
        "id": f"NATIVE_FILTER-{name}",
        "name": one["title"],
        "filterType": "filter_time" if is_time else "filter_select",
        "type": "NATIVE_FILTER",
        "targets": [target],
        "defaultDataMask": {
            "extraFormData": extra,
            "filterState": {"value": default} if default else {},
            "ownState": {},
        },
        "cascadeParentIds": [],
        "scope": {"rootPath": [f"TAB-{tab}" for tab in one["tabs"]], "excluded": ignoring},
        "controlValues": {
            "multiSelect": True,
            "enableEmptyFilter": False,
            "defaultToFirstItem": False,
            "inverseSelection": False,
            "searchAllOptions": False,
        },
        "description": one.get("about", ""),
        "chartsInScope": [],
        "tabsInScope": [],
    }
