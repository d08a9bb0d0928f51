"""Days of one account that were read apart and changed nothing: one transaction for all of them.

Grain: days of one account, each with its own extraction and load. They are locked together, what stands of
them is read at once, and their receipts are written at once. No row is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from dagster_project.model.batch import Batch
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Window, day_number
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.ledger.receipt_writer import write_receipts
from dagster_project.warehouse.ledger.rejects import write_rejects
from dagster_project.warehouse.load.day_locks import lock_days
from dagster_project.warehouse.load.existing_rows import read_existing_rows
from dagster_project.warehouse.load.window_load import AfterRows, WindowLoad


def compare_days(loads: Sequence[tuple[WindowLoad, Batch]]) -> bool:
    """Begin the loads of these days, one each; add each its batch; return whether all of them change nothing.

    If one does, rows of it may be written already: abandon all of them.
    """
    first = loads[0][0]
    connection, account = first.connection, first.window.account
    days = sorted(load.window.first_day for load, _ in loads)
    loaded_at = lock_days(connection, account.source, account.label, days)
    assert loaded_at is not None, "there are days"
    states = load_receipts.day_states(connection, account.source, account.label, days)
    span = Window(days[0], days[-1], account)
    others = set(span.days) - set(days)
    existing = read_existing_rows(connection, first.table, span, others)
    for load, batch in loads:
        load.find_superseded(states)
        load.compare_with(loaded_at, existing.of_day(day_number(load.window.first_day)))
        load.add(batch)
    return all(load.changes_nothing for load, _ in loads)


def write_unchanged(
    loads: Sequence[WindowLoad], after_rows: AfterRows, run_id: str | None
) -> list[Receipt]:
    """Write the receipts of days that change nothing; the caller commits."""
    last = max(loads, key=lambda load: load.extraction.extraction_id)
    connection, zone = last.connection, last.window.account.time_zone.key
    receipts = [receipt for load in loads for receipt in load.unchanged_receipts()]
    write_receipts(connection, receipts, run_id, zone)
    write_rejects(connection, last.extraction, [], [receipt.day for receipt in receipts])
    after_rows(connection, receipts)
    return receipts
