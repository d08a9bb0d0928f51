"""Tellody's table of totals, a row a day. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from dagster_project.model.table import Column, Table

TOTALS: Final = {
    "SMS_SENT": "sms_sent",
    "EMAIL_SENT": "email_sent",
    "DL": "downloads",
    "OPTOUT": "optouts",
    "URL": "url_clicks",
    "VOUCHER": "vouchers_viewed",
}
"""The vendor's keys, and the columns that hold them."""
TABLE: Final = Table(
    name="tellody_activity",
    day_column="activity_on",
    account_column="account",
    columns=(
        Column("activity_on", "date"),
        Column("account", "text"),
        *(Column(name, "bigint") for name in TOTALS.values()),
        Column("extra", "json"),
    ),
    key_columns=("activity_on", "account"),
    key_sql="'00000000-0000-0000-0000-000000000000'::uuid",
    fields=tuple(TOTALS.items()),
    compared=tuple(TOTALS.values()),
)
