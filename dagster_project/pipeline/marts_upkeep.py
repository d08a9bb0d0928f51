"""The marts of ``bi``, kept in step with the rows."""

from __future__ import annotations

from dagster_project.config.settings import Settings
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.pipeline.load_window import WindowPipeline
from dagster_project.pipeline.outcomes import AfterRows
from dagster_project.vendors.calltouch.personal_data import shown_template
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Connection


def marts_keeper(settings: Settings) -> AfterRows:
    """Keeps the marts of ``bi`` in step with the rows, in the rows' own transaction."""
    currency = settings.tellody.currency if settings.tellody else None

    def after_rows(connection: Connection, account: Account, receipts: list[Receipt]) -> None:
        marts.after_load(connection, account, receipts, mask=shown_template, currency=currency)

    return after_rows


def refresh_stale_marts(walk: WindowPipeline, *, passed_only: bool = False) -> int:
    """Count afresh what a load could only mark (months of reach and of bad numbers)."""
    with walk.reading() as connection:
        return marts.refresh_stale(connection, shown_template, passed_only=passed_only)
