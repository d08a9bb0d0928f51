"""Trust's table, a row a company and day. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from dagster_project.model.table import Column, Table
from dagster_project.vendors.trust.figures import ACTIONS, CAMPAIGN, COLUMN_NAMES, COUNTERS

TABLE: Final = Table(
    name="trust_campaign_statistics",
    day_column="stats_on",
    account_column="company_id",
    columns=(
        Column("stats_on", "date"),
        Column("company_id", "bigint"),
        Column("window_from", "date"),
        Column("window_to", "date"),
        Column("is_daily", "boolean"),
        Column("asked_at", "timestamptz"),
        Column("total", "bigint"),
        Column("sent", "bigint"),
        Column("pending", "bigint"),
        Column("failed", "bigint"),
        Column("received", "bigint"),
        Column("pressed", "bigint"),
        Column("closed", "bigint"),
        Column("unknown", "bigint"),
        Column("campaigns", "bigint"),
        Column("extra", "json"),
    ),
    key_columns=("stats_on", "company_id"),
    key_sql="'00000000-0000-0000-0000-000000000000'::uuid",
    fields=(*COUNTERS.items(), *ACTIONS.items(), (CAMPAIGN, "campaigns")),
    compared=COLUMN_NAMES,
)
ROLLING_WEEK: Final = "rolling_week"
"""Counted for a row that covers more than its day."""
