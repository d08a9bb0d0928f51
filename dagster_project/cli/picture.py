"""What was loaded, for people: a table and a chart in the terminal."""

from __future__ import annotations

import sys

import pandas as pd
import plotext
from rich import box
from rich.table import Table
from sqlalchemy import Connection, text

from dagster_project.cli.console import new_console
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.warehouse.connection import Warehouse

_COLUMNS_A_DATE = 16  # closer together the chart leaves some out
OUTCOMES = ("delivered", "failed", "pending", "undetermined")
COLOURS = ("green", "red", "orange", "gray")
MARKERS = ("█", "▓", "▒", "░")


def show(warehouse: Warehouse, settings: Settings) -> None:
    """Rows by table, then SMS a day by outcome."""
    engine = warehouse.engine()
    with engine.connect() as connection:
        states = pd.read_sql(
            text("SELECT source, account, day, rows FROM ops.day_state"), connection
        )
        counted = [sms_by_outcome(connection, feed) for feed in FEEDS if feed.sms_mask]
    sms = pd.concat(counted)
    console = new_console()
    console.print(loaded_table(states))
    if not sms.empty:
        print(outcome_chart(sms, console.width))


def sms_by_outcome(connection: Connection, feed: Feed) -> pd.DataFrame:
    """SMS of the last 60 days of a feed whose rows are single SMS, by day and outcome."""
    table = feed.table
    return pd.read_sql(
        text(
            f"SELECT {table.day_column} AS sent_on, outcome, count(*) AS messages"  # noqa: S608
            f" FROM warehouse.{table.name} WHERE {table.day_column} >"
            " (SELECT max(day) - 60 FROM ops.day_state WHERE source = :source)"
            f" GROUP BY {table.day_column}, outcome"
        ),
        connection,
        params={"source": feed.source},
        parse_dates=["sent_on"],
    )


def loaded_table(states: pd.DataFrame) -> Table:
    """Days and rows by table and account."""
    table = Table(
        title="Loaded into schema warehouse",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for name in ("table", "account"):
        table.add_column(name)
    for name in ("days", "first day", "last day", "rows"):
        table.add_column(name, justify="right")
    for feed in FEEDS:
        of_feed = states[states["source"] == feed.source]
        for account, rows in of_feed.groupby("account"):
            table.add_row(
                feed.table.name,
                str(account),
                f"{len(rows)}",
                str(rows["day"].min()),
                str(rows["day"].max()),
                f"{int(rows['rows'].sum()):,}",
            )
    return table


def outcome_chart(sms: pd.DataFrame, width: int) -> str:
    """SMS a day, stacked by outcome."""
    by_day = (
        sms.pivot_table(index="sent_on", columns="outcome", values="messages", aggfunc="sum")
        .reindex(columns=list(OUTCOMES))
        .asfreq("D")
        .fillna(0)
    )
    highest = int(by_day.sum(axis=1).max())
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(width, 110), 18)
    plotext.stacked_bar(
        [f"{day:%Y-%m-%d}" for day in by_day.index],
        [by_day[outcome].astype(int).tolist() for outcome in OUTCOMES],
        labels=list(OUTCOMES),
        color=list(COLOURS),
        marker=list(MARKERS),
    )
    every = -(-len(by_day) * _COLUMNS_A_DATE // width)
    shown = range(0, len(by_day), every)
    plotext.xticks([n + 1 for n in shown], [f"{by_day.index[n]:%Y-%m-%d}" for n in shown])
    steps = [highest * step // 4 for step in range(5)]
    plotext.yticks(steps, [f"{step:,}" for step in steps])
    plotext.title("SMS a day by outcome")
    chart = str(plotext.build())
    return chart if sys.stdout.isatty() else str(plotext.uncolorize(chart))
