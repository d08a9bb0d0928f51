"""``ops.check_outcome``: what each check said of a day of an account when it was last loaded.

Those of a load are written in its transaction, with its receipt; those of a day whose newer answer was
held or refused, when that is noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dagster_project.model.check_outcome import CheckOutcome, Severity
from dagster_project.model.receipt import Receipt
from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_as

_UPSERT = (
    "INSERT INTO ops.check_outcome AS o (source, account, day, check_name, passed, severity, said,"
    " causes, receipt_id) SELECT source, account, day, check_name, passed, severity, said, causes,"
    " receipt_id FROM json_to_recordset(%s) AS x (source text, account text, day date,"
    " check_name text, passed boolean, severity text, said text, causes text[], receipt_id bigint)"
    " ON CONFLICT (source, account, day, check_name) DO UPDATE SET passed = excluded.passed,"
    " severity = excluded.severity, said = excluded.said, causes = excluded.causes,"
    " receipt_id = excluded.receipt_id, evaluated_at = excluded.evaluated_at"
)


@dataclass(frozen=True, slots=True)
class FailingCheck:
    """A check that did not pass when its day was last loaded."""

    source: str
    account: str
    day: date
    check_name: str
    severity: Severity
    said: str
    causes: Sequence[str]


def write_outcomes(
    connection: Connection, outcomes: Iterable[tuple[Receipt, Sequence[CheckOutcome]]]
) -> None:
    """The outcomes of these loads, inside the transaction that wrote their rows."""
    _write(
        connection,
        [
            _row(receipt.source, receipt.account, receipt.day, outcome, receipt.receipt_id)
            for receipt, of_receipt in outcomes
            for outcome in of_receipt
        ],
    )


def write_refused(
    connection: Connection, source: str, account: str, days: Iterable[date], outcome: CheckOutcome
) -> None:
    """The outcome of days whose newer answer was held or could not be read."""
    _write(connection, [_row(source, account, day, outcome, None) for day in sorted(set(days))])


def _write(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """All of them in one statement; no check of a day is among them twice."""
    connection.execute(_UPSERT, (json.dumps(rows, ensure_ascii=True),))


def _row(
    source: str, account: str, day: date, outcome: CheckOutcome, receipt_id: int | None
) -> dict[str, object]:
    return {
        "source": source,
        "account": account,
        "day": day.isoformat(),
        "check_name": outcome.name,
        "passed": outcome.passed,
        "severity": outcome.severity,
        "said": scrub_text(outcome.said),
        "causes": [hide_secrets(cause) for cause in outcome.causes],
        "receipt_id": receipt_id,
    }


def failing_checks(connection: Connection, source: str | None = None) -> list[FailingCheck]:
    """Checks that do not pass: all of them, or those of a source; oldest day first."""
    return fetch_as(
        connection,
        FailingCheck,
        "SELECT source, account, day, check_name, severity, said, causes FROM ops.check_outcome"
        " WHERE NOT passed AND source = coalesce(%s, source)"
        " ORDER BY day, account, check_name",
        (source,),
    )
