"""Tables and views as Dagster shows them: columns of the tables, and the views of ``bi`` as assets.

``relations.json`` is what the catalog of a migrated warehouse says of them; ``make docs`` writes it, so
that definitions load without a database. The views are computed when they are read: their assets are
not materialized, and end the lineage where analysts begin.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed

FILE: Final = Path(__file__).with_name("relations.json")
RESPONSES: Final = "raw.response"
_OF_SMS: Final = ("mart.sms_", "mart.template")
_OF_EVERY_LOAD: Final = "mart.account"
_FACT: Final = "mart.messaging_day"


@cache
def relations() -> Mapping[str, Any]:
    """By ``schema.name``: comment, columns, and the tables that a view reads."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def table_metadata(name: str) -> dict[str, Any]:
    """The name of a table or view and its columns, under the keys that Dagster's UI knows.

    Of a new table the columns are shown once ``make docs`` was run: nothing is loaded later for it.
    """
    told: dict[str, Any] = {"dagster/table_name": name}
    if name in relations():
        columns = [
            dg.TableColumn(column, kind, description=says)
            for column, kind, says in relations()[name]["columns"]
        ]
        told["dagster/column_schema"] = dg.TableSchema(columns)
    return told


def view_assets(settings: Settings) -> list[dg.AssetSpec]:
    """The views that readers build on, each below the rows that it shows."""
    return [
        dg.AssetSpec(
            name.split("."),
            deps=[dg.AssetKey(feed.asset) for feed in FEEDS if _is_shown(feed, found["reads"])],
            group_name=name.partition(".")[0],
            kinds={"postgres", "view"},
            owners=settings.owners,
            metadata=table_metadata(name),
            description=found["comment"],
        )
        for name, found in relations().items()
        if found["is_view"]
    ]


def _is_shown(feed: Feed, reads: Collection[str]) -> bool:
    """Whether a view that reads these shows what is loaded of the feed, itself or its marts."""
    rows = any(name.startswith("warehouse.") for name in reads)
    # Beside rows, templates only name texts.
    sms = not rows and any(name.startswith(_OF_SMS) for name in reads)
    if f"warehouse.{feed.table.name}" in reads or (sms and feed.sms_mask is not None):
        return True
    if _FACT in reads:
        return f"mart.{feed.source}_messaging" in reads
    return not rows and not sms and _OF_EVERY_LOAD in reads
