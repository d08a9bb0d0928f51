"""Options that several verbs share, and the types of their values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import click

from dagster_project.pipeline.fast_imports import gc_paused


class Day(click.ParamType[date]):
    """A calendar day, ``2024-04-01``."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2024-04-01", param, ctx)


class SourceChoice(click.Choice[str]):
    """The name of a source; the list of feeds is imported where one is named, or help is asked for."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @cached_property
    def choices(self) -> Sequence[str]:  # type: ignore[override]
        with gc_paused():
            from dagster_project.feeds import FEEDS

        return tuple(feed.source for feed in FEEDS)


SOURCES = SourceChoice()
source_option = click.option(
    "--source",
    "sources",
    multiple=True,
    type=SOURCES,
    help="Only this source; may be repeated.",
)
account_option = click.option(
    "--account",
    "accounts",
    multiple=True,
    help="Only this site, account label or company; may be repeated.",
)
from_option = click.option(
    "--from", "first", type=Day(), required=True, help="First day, vendor-local."
)
accept_shrink_option = click.option(
    "--accept-shrink",
    is_flag=True,
    help="Take held days that lost rows: far fewer than they had, or purchases that are gone.",
)
accept_rejects_option = click.option(
    "--accept-rejects",
    is_flag=True,
    help="Take held days of which records, or a field, can no longer be read.",
)
to_option = click.option("--to", "last", type=Day(), required=True, help="Last day, included.")
chunk_days_option = click.option(
    "--chunk-days",
    type=click.IntRange(min=1),
    help="Days a run takes (default: WAREHOUSE_RANGE_DAYS, 366).",
)
oldest_first_option = click.option(
    "--oldest-first", is_flag=True, help="Begin with the first day instead of the last."
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
load_options = (
    from_option,
    to_option,
    account_option,
    chunk_days_option,
    accept_shrink_option,
    accept_rejects_option,
    oldest_first_option,
)
"""Of the verbs that load days."""
