"""``ops.extraction``: one row for each window requested from a vendor, from its first request to its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from importlib.metadata import version
from typing import Any

from dagster_project import clock
from dagster_project.model.receipt import Extraction
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Window
from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_row, fetch_value

CODE_VERSION = version("messaging-warehouse")


def begin_extraction(connection: Connection, window: Window, run_id: str | None) -> Extraction:
    """Open an extraction; its number orders it among loads of the same days."""
    account = window.account
    row = fetch_row(
        connection,
        "INSERT INTO ops.extraction"
        " (source, account, first_day, last_day, run_id, code_version, started_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp() + %s)"
        " RETURNING extraction_id, started_at",
        (
            account.source,
            account.label,
            window.first_day,
            window.last_day,
            run_id,
            CODE_VERSION,
            clock.shift(),
        ),
    )
    return Extraction(
        row[0], account.source, account.label, window.first_day, window.last_day, row[1]
    )


def end_extraction(
    connection: Connection,
    extraction: Extraction,
    stats: ExtractStats,
    outcome: str,
    failure: str | None = None,
    failure_kind: str | None = None,
) -> None:
    """Close an extraction with what it cost: complete, failed, split or abandoned."""
    connection.execute(
        "UPDATE ops.extraction SET requests = %s, points = %s, pages = %s, vendor_total = %s,"
        " finished_at = clock_timestamp() + %s, outcome = %s, failure = %s,"
        " failure_kind = %s, notes = %s"
        " WHERE extraction_id = %s",
        (
            stats.requests,
            stats.points,
            stats.pages,
            stats.vendor_total,
            clock.shift(),
            outcome,
            None if failure is None else scrub_text(failure),
            failure_kind,
            notes_as_json(stats.notes),
            extraction.extraction_id,
        ),
    )


def notes_as_json(notes: Mapping[str, Any]) -> str | None:
    """The notes as JSON, without secrets, since they may quote a vendor; None: no notes."""
    if not notes:
        return None
    return hide_secrets(json.dumps(notes, ensure_ascii=True, default=str))


def runs_under_way(connection: Connection) -> list[tuple[str | None, datetime]]:
    """The runs with open extractions, each with the start of its latest one."""
    return connection.execute(
        "SELECT run_id, max(started_at) FROM ops.extraction WHERE outcome = 'started' GROUP BY run_id"
    ).fetchall()


def abandon(connection: Connection, run_id: str | None, until: datetime) -> int:
    """Close the extractions of a dead run that began until then; return how many."""
    return connection.execute(
        "UPDATE ops.extraction SET outcome = 'abandoned', failure = 'its process died',"
        " finished_at = clock_timestamp() + %s"
        " WHERE outcome = 'started' AND run_id IS NOT DISTINCT FROM %s AND started_at <= %s",
        (clock.shift(), run_id, until),
    ).rowcount


def latest_complete(
    connection: Connection, source: str, account: str, days: Sequence[date]
) -> dict[date, Extraction]:
    """For each day, the latest complete extraction that covers it and whose responses are stored."""
    rows = connection.execute(
        "SELECT d.day, e.extraction_id, e.first_day, e.last_day, e.started_at"
        " FROM unnest(%s::date[]) AS d(day) CROSS JOIN LATERAL ("
        "   SELECT x.* FROM ops.extraction x WHERE x.source = %s AND x.account = %s"
        "   AND x.outcome = 'complete' AND d.day BETWEEN x.first_day AND x.last_day"
        "   AND d.day >= coalesce(x.reduced_before, x.first_day)"
        "   AND EXISTS (SELECT FROM raw.response r WHERE r.extraction_id = x.extraction_id)"
        "   ORDER BY x.extraction_id DESC LIMIT 1) e",
        (list(days), source, account),
    ).fetchall()
    return {row[0]: Extraction(row[1], source, account, *row[2:5]) for row in rows}


def reduced_before(connection: Connection, extraction: Extraction) -> date | None:
    """The day before which the extraction's stored responses were reduced; None: they were not."""
    found: date | None = fetch_value(
        connection,
        "SELECT reduced_before FROM ops.extraction WHERE extraction_id = %s",
        (extraction.extraction_id,),
    )
    return found
