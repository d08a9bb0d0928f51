"""Calltouch's table, a row an SMS, and what a call can return and costs. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from dagster_project.model.table import Column, Table

ROWS_PER_PAGE: Final = 10_000
POINTS_A_CALL: Final = 2
TABLE: Final = Table(
    name="calltouch_sms",
    day_column="sent_on",
    account_column="site_id",
    columns=(
        Column("sent_on", "date"),
        Column("site_id", "bigint"),
        Column("sms_key", "uuid"),
        Column("sent_at", "timestamptz"),
        Column("phone", "text"),
        Column("phone_e164", "text"),
        Column("country", "text"),
        Column("recipient", "uuid"),
        Column("status", "text"),
        Column("status_detail", "text"),
        Column("outcome", "text"),
        Column("reason", "text"),
        Column("is_final", "boolean"),
        Column("message", "text"),
        Column("template_id", "uuid"),
        Column("segments", "smallint"),
    ),
    key_columns=("sent_on", "site_id", "sms_key", "occurrence"),
    key_sql="sms_key",
    has_occurrence=True,
    observed_column="final_seen_at",
    observed_when="is_final",
    fields=(
        ("phoneNumber", "phone"),
        ("smsStatus", "status"),
        ("smsStatusDetail", "status_detail"),
        ("smsMessage", "message"),
    ),
    compared=("status", "reason"),
)
