"""Loads that a test writes into the ledger without a vendor and without rows."""

from __future__ import annotations

from datetime import date

from dagster_project.warehouse.connection import Warehouse


def load_days(
    warehouse: Warehouse,
    source: str,
    account: str,
    *days: date,
    told_until: date | None = None,
    rows: int = 0,
    rejected: int = 0,
    settled: bool = True,
    run_id: str | None = None,
) -> int:
    """Receipts of these days, of one answer that tells of days up to ``told_until``; its extraction."""
    with warehouse.connect_admin() as connection:
        row = connection.execute(
            "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome, code_version,"
            " run_id, requests, points) VALUES (%s, %s, %s, %s, 'complete', 't', %s, 1, 2)"
            " RETURNING extraction_id",
            (source, account, min(days), told_until or max(days), run_id),
        ).fetchone()
        assert row is not None
        for day in days:
            connection.execute(
                "WITH r AS (INSERT INTO ops.load_receipt (extraction_id, source, account, day, is_replay,"
                "  run_id, rows_received, rows_inserted, rows_updated, rows_deleted, rows_unchanged,"
                "  rows_rejected, rows_final, checksum, observed_at, code_version)"
                " VALUES (%(e)s, %(s)s, %(a)s, %(d)s, false, %(run)s, %(all)s, %(n)s, 0, 0, 0, %(j)s,"
                "  0, 'x', now(), 't') RETURNING receipt_id)"
                " INSERT INTO ops.day_state (source, account, day, receipt_id, extraction_id,"
                "  observed_at, loaded_at, rows, rows_final, checksum, settled)"
                " SELECT %(s)s, %(a)s, %(d)s, receipt_id, %(e)s, now(), now(), %(n)s, 0, 'x',"
                " %(settled)s FROM r",
                {
                    "e": row[0],
                    "s": source,
                    "a": account,
                    "d": day,
                    "n": rows,
                    "j": rejected,
                    "all": rows + rejected,
                    "run": run_id,
                    "settled": settled,
                },
            )
        connection.execute(
            "INSERT INTO ops.account_start (source, account, first_observed_at)"
            " VALUES (%s, %s, now()) ON CONFLICT DO NOTHING",
            (source, account),
        )
    return int(row[0])
