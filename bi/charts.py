"""Superset's parameters of a tile, by its kind (``kind`` in ``tiles.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# How Postgres writes a number of each format: thousands separated.
WRITTEN = {
    ",d": "to_char({}, 'FM999,999,999,999,990')",
    ",.1f": "to_char({}, 'FM999,999,999,990.0')",
    ",.2f": "to_char({}, 'FM999,999,999,990.00')",
    ",.4f": "to_char({}, 'FM999,999,999,990.0000')",
    ".1%": "to_char(100.0 * ({}), 'FM9990.0') || ' ' || chr(37)",
    "text": "{}",
}
# Columns by which a dataset tells rows with figures from those that only say that there are none.
PRESENT = ("loaded", "compared")
AXES = {
    "x_axis_time_format": "%Y-%m-%d",
    "tooltipTimeFormat": "%Y-%m-%d",
    "y_axis_format": ",d",
    "show_legend": True,
    "legendType": "plain",
    "legendOrientation": "top",
    "rich_tooltip": True,
    "row_limit": 10000,
    "sort_series_type": "name",
    "sort_series_ascending": True,
    "zoomable": False,
    "groupby": [],
}


@dataclass(frozen=True)
class Metrics:
    """The saved metrics that a tile may name, and the columns of its dataset."""

    saved: Mapping[str, tuple[str, str, str]]
    columns: Mapping[str, str]

    def written(
        self, metric: str | list[str], tile: Mapping[str, Any] = MappingProxyType({})
    ) -> str:
        """SQL of the figure as text: a NULL is "not reported", no row at all is "no data".

        A tile may have words of its own for both: ``unknown`` and ``nothing``.
        """
        expression, number_format, *_ = self.saved[metric] if isinstance(metric, str) else metric
        [there] = [f" FILTER (WHERE {name})" for name in PRESENT if name in self.columns] or [""]
        text = WRITTEN[number_format].format(expression)
        return (
            f"CASE WHEN COUNT(*){there} = 0 THEN '{tile.get('nothing', 'no data')}'"
            f" ELSE COALESCE({text}, '{tile.get('unknown', 'not reported')}') END"
        )

    def number(self, metric: str) -> str:
        return self.saved[metric][0]


def metric(label: str, expression: str) -> dict[str, Any]:
    return {
        "expressionType": "SQL",
        "sqlExpression": expression,
        "label": label,
        "hasCustomLabel": True,
        "optionName": "metric_" + re.sub(r"\W+", "_", label),
    }


def condition(expression: str, clause: str = "WHERE") -> dict[str, Any]:
    return {"expressionType": "SQL", "clause": clause, "sqlExpression": expression}


def conditions(tile: dict[str, Any], columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tile's own conditions, and the place where a chosen range of days is put."""
    found = []
    if "day" in columns and "days" not in tile.get("ignores", ()):
        found.append(
            {
                "clause": "WHERE",
                "comparator": "No filter",
                "expressionType": "SIMPLE",
                "operator": "TEMPORAL_RANGE",
                "subject": "day",
            }
        )
    if "where" in tile:
        found.append(condition(tile["where"]))
    if "having" in tile:
        found.append(condition(tile["having"], "HAVING"))
    return found


def number(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """One figure below its unit: a table of one cell, since Superset's big number knows no text."""
    return "table", {
        "query_mode": "aggregate",
        "groupby": [],
        "metrics": [metric(tile["unit"], metrics.written(tile["metric"], tile))],
        "row_limit": 10,
        "page_length": 0,
        "show_cell_bars": False,
    }


def table(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """Figures by some columns; ``first`` says by what figure it is sorted, else by its first column."""
    groups = [grouping(each) for each in tile["by"]]
    columns = [
        metric(label, metrics.written(each, tile)) for label, each in tile["columns"].items()
    ]
    if "first" in tile:
        wanted = tile["first"]
        named = {name: saved[0] for name, saved in metrics.saved.items()}
        expression = named[wanted] if wanted in named else wanted.format(**named)
        order = metric("order", expression)
    else:
        [expression] = [
            group["sqlExpression"] if isinstance(group, dict) else group for group in groups[:1]
        ]
        order = metric("order", f"MIN({expression})")
    return "table", {
        "query_mode": "aggregate",
        "groupby": groups,
        "metrics": columns,
        "timeseries_limit_metric": order,
        "order_desc": tile.get("descending", True),
        "row_limit": tile.get("limit", 100),
        "page_length": tile.get("page", 0),
        "show_cell_bars": False,
        "table_timestamp_format": "%Y-%m-%d",
        "column_config": {label: {"horizontalAlign": "right"} for label in tile["columns"]},
    }


def grouping(each: str | dict[str, str]) -> str | dict[str, Any]:
    if isinstance(each, str):
        return each
    [(label, expression)] = each.items()
    return {"expressionType": "SQL", "label": label, "sqlExpression": expression}


def rows(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """Rows as they stand."""
    return "table", {
        "query_mode": "raw",
        "all_columns": tile["columns"],
        "order_by_cols": [f'["{tile["red"]}", false]', f'["{tile["columns"][0]}", true]'],
        "row_limit": 100,
        "page_length": 0,
        "show_cell_bars": False,
        "table_timestamp_format": "%Y-%m-%d",
        "conditional_formatting": [
            {"column": tile["red"], "operator": ">", "targetValue": 0, "colorScheme": "#ff4d4f"}
        ],
    }


def outcomes(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """Stacked bars by day; days that are not settled have series of their own, and so colours."""
    amounts = tile["amounts"]
    series = []
    for settled in (True, False):
        for name, amount in amounts.items():
            label = name if settled else f"not settled: {name}"
            when = "settled" if settled else "NOT settled"
            series.append(metric(label, f"SUM({amount}) FILTER (WHERE {when})"))
    return "echarts_timeseries_bar", AXES | {
        "x_axis": "day",
        "time_grain_sqla": "P1D",
        "metrics": series,
        "groupby": [],
        "stack": "Stack",
        "show_empty_columns": True,
        "showTooltipTotal": True,
    }


def bars(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """Bars that lie, the longest on top."""
    expression = metrics.number(tile["metric"])
    return "echarts_timeseries_bar", AXES | {
        "x_axis": tile["by"],
        "xAxisForceCategorical": True,
        "x_axis_sort": "SMS",
        "x_axis_sort_asc": True,
        "metrics": [metric("SMS", expression)],
        "row_limit": 20,
        "orientation": "horizontal",
        "show_legend": False,
        "show_value": True,
    }


def _categories(tile: dict[str, Any]) -> dict[str, Any]:
    """Bars that stand on the values of a column, in their order."""
    return AXES | {
        "x_axis": tile["by"],
        "xAxisForceCategorical": True,
        "x_axis_sort": tile["by"],
        "x_axis_sort_asc": True,
    }


def grouped(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """Bars side by side, never added up."""
    return "echarts_timeseries_bar", _categories(tile) | {
        "metrics": [metric(tile["metric"], metrics.number(tile["metric"]))],
        "groupby": [tile["series"]],
        "stack": None,
    }


def share_by(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    """A share for each value of a column: bars that lie, since their labels need room on a phone."""
    return "echarts_timeseries_bar", _categories(tile) | {
        "metrics": [metric("share", metrics.number(tile["metric"]))],
        "orientation": "horizontal",
        "x_axis_sort_asc": False,
        "show_legend": False,
        "show_value": True,
        "y_axis_format": ".1%",
        "truncateYAxis": True,
        "y_axis_bounds": [0, 1],
    }


def lines(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    return "echarts_timeseries_line", AXES | {
        "x_axis": "day",
        "time_grain_sqla": "P1D",
        "metrics": [
            metric(name.replace("_", " "), metrics.number(name)) for name in tile["metrics"]
        ],
        "groupby": [tile["series"]] if "series" in tile else [],
        "y_axis_format": ",.1f" if "series" not in tile else ",d",
    }


def heatmap(tile: dict[str, Any], metrics: Metrics) -> tuple[str, dict[str, Any]]:
    return "heatmap_v2", {
        "x_axis": "hour_name",
        "groupby": "weekday",
        "metric": metric("SMS", metrics.number(tile["metric"])),
        "row_limit": 1000,
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "linear_color_scheme": "schemeBlues",
        "normalize_across": "heatmap",
        "left_margin": 75,
        "bottom_margin": 30,
        "value_bounds": [None, None],
        "y_axis_format": ",.1f",
        "show_legend": True,
        "show_percentage": False,
        "show_values": False,
        "legend_type": "continuous",
        "xscale_interval": -1,
        "yscale_interval": -1,
    }


KINDS: dict[str, Callable[[dict[str, Any], Metrics], tuple[str, dict[str, Any]]]] = {
    "number": number,
    "table": table,
    "rows": rows,
    "outcomes": outcomes,
    "bars": bars,
    "grouped": grouped,
    "share_by": share_by,
    "lines": lines,
    "heatmap": heatmap,
}
