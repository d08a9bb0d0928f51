"""Write receipts, and the days' new state, in the transaction of the rows that they describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from dagster_project.model.receipt import Receipt
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.extractions import CODE_VERSION, notes_as_json


def write_receipts(
    connection: Connection,
    receipts: Sequence[Receipt],
    run_id: str | None,
    time_zone: str | None = None,
    encoding: str | None = None,
) -> None:
    """Write receipts and the days' new state, in the transaction that wrote the rows.

    ``time_zone``: the time zone of the days. ``encoding``: by what code and settings the rows were encoded.
    """
    columns = {**_columns(receipts, run_id), "encoding": encoding}
    written = connection.execute(_INSERT_RECEIPTS, columns).fetchall()
    numbers = {(source, account, day): number for number, source, account, day in written}
    for receipt in receipts:
        receipt.receipt_id = numbers[receipt.source, receipt.account, receipt.day]
    connection.execute(_UPSERT_STATES, _states(receipts, time_zone))
    for source, account in {(receipt.source, receipt.account) for receipt in receipts}:
        first = min(r.observed_at for r in receipts if (r.source, r.account) == (source, account))
        connection.execute(
            "INSERT INTO ops.account_start (source, account, first_observed_at)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (source, account, first),
        )


def _columns(receipts: Sequence[Receipt], run_id: str | None) -> dict[str, Any]:
    return {
        **{name: [getattr(r, name) for r in receipts] for name in _OWN_COLUMNS},
        "notes": [notes_as_json(receipt.notes) for receipt in receipts],
        "run_id": run_id,
        "code_version": CODE_VERSION,
    }


def _states(receipts: Sequence[Receipt], time_zone: str | None) -> dict[str, Any]:
    return {
        **{name: [getattr(r, name) for r in receipts] for name in _STATE_COLUMNS},
        "time_zone": time_zone,
    }


_OWN_COLUMNS = {
    "extraction_id": "bigint",
    "source": "text",
    "account": "text",
    "day": "date",
    "is_replay": "boolean",
    "rows_received": "bigint",
    "rows_inserted": "bigint",
    "rows_updated": "bigint",
    "rows_deleted": "bigint",
    "rows_unchanged": "bigint",
    "rows_rejected": "bigint",
    "rows_final": "bigint",
    "checksum": "text",
    "observed_at": "timestamptz",
    "settled": "boolean",
}
_STATE_COLUMNS = {
    "source": "text",
    "account": "text",
    "day": "date",
    "receipt_id": "bigint",
    "extraction_id": "bigint",
    "observed_at": "timestamptz",
    "rows": "bigint",
    "rows_final": "bigint",
    "checksum": "text",
    "settled": "boolean",
}


def _unnested(columns: Mapping[str, str]) -> sql.Composed:
    """``unnest`` of an array a column, each given by its name: all rows in one statement."""
    return sql.SQL("unnest({}) AS given ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{}::" + kind + "[]").format(sql.Placeholder(name))
            for name, kind in columns.items()
        ),
        _names(columns),
    )


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


_INSERT_RECEIPTS = sql.SQL(
    "INSERT INTO ops.load_receipt ({names}, run_id, code_version, encoding)"
    " SELECT given.*, %(run_id)s, %(code_version)s, %(encoding)s FROM {given}"
    " RETURNING receipt_id, source, account, day"
).format(names=_names([*_OWN_COLUMNS, "notes"]), given=_unnested({**_OWN_COLUMNS, "notes": "json"}))
_UPSERT_STATES = sql.SQL(
    "INSERT INTO ops.day_state ({names}, loaded_at, time_zone)"
    " SELECT given.*, now(), %(time_zone)s FROM {given}"
    " ON CONFLICT (source, account, day) DO UPDATE SET receipt_id = excluded.receipt_id,"
    " extraction_id = excluded.extraction_id, observed_at = excluded.observed_at,"
    " loaded_at = excluded.loaded_at, rows = excluded.rows, rows_final = excluded.rows_final,"
    " checksum = excluded.checksum, settled = excluded.settled,"
    " time_zone = excluded.time_zone, held = NULL, held_kinds = NULL,"
    " held_extraction_id = NULL, held_at = NULL, held_figures = NULL"
).format(names=_names(_STATE_COLUMNS), given=_unnested(_STATE_COLUMNS))
