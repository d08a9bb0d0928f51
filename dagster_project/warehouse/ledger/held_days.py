"""Days whose newer answer is held, in ``ops.day_state``: why, and what accepting it would change."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from dagster_project import clock
from dagster_project.model.receipt import Extraction
from dagster_project.text.remedies import accept_hint
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_as


@dataclass(frozen=True, slots=True)
class HeldDay:
    """A day whose newer answer is held. ``kinds`` are the options that accept it, as in
    ``--accept-shrink``; ``figures`` has, by name, the current value and the one after accepting it."""

    source: str
    account: str
    day: date
    why: str
    kinds: Sequence[str]
    extraction_id: int | None
    held_at: datetime | None
    figures: Mapping[str, Sequence[int | str]]

    @property
    def hint(self) -> str:
        """How to look at it, and the command that accepts it."""
        return accept_hint(self.source, self.account, self.day, self.day, self.kinds)


def hold_day(
    connection: Connection,
    extraction: Extraction,
    day: date,
    why: str,
    kinds: Sequence[str],
    figures: Mapping[str, Sequence[int | str]],
) -> None:
    """Note that the day's newer answer is held, and what accepting it would change."""
    connection.execute(
        "UPDATE ops.day_state SET held = %s, held_kinds = %s, held_extraction_id = %s,"
        " held_at = clock_timestamp() + %s, held_figures = %s"
        " WHERE source = %s AND account = %s AND day = %s",
        (
            why,
            list(kinds),
            extraction.extraction_id,
            clock.shift(),
            json.dumps(figures, ensure_ascii=True),
            extraction.source,
            extraction.account,
            day,
        ),
    )


def held_days(
    connection: Connection,
    source: str | None = None,
    account: str | None = None,
    days: Collection[date] | None = None,
) -> list[HeldDay]:
    """Days of which a newer answer is held back: all, or of a source, an account, some days."""
    wanted = None if days is None else list(days)
    return fetch_as(
        connection,
        HeldDay,
        "SELECT source, account, day, held AS why, coalesce(held_kinds, '{shrink}') AS kinds,"
        " held_extraction_id AS extraction_id, held_at, coalesce(held_figures, '{}') AS figures"
        " FROM ops.day_state WHERE held IS NOT NULL"
        " AND source = coalesce(%s, source) AND account = coalesce(%s, account)"
        " AND (%s::date[] IS NULL OR day = ANY(%s)) ORDER BY source, account, day",
        (source, account, wanted, wanted),
    )
