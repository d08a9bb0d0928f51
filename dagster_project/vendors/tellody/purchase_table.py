"""Tellody's table of purchases, a row a payment. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from dagster_project.model.table import Column, Table

TABLE: Final = Table(
    name="tellody_credit_purchase",
    day_column="purchased_on",
    account_column="account",
    columns=(
        Column("purchased_on", "date"),
        Column("account", "text"),
        Column("payment_id", "bigint"),
        Column("purchased_at", "timestamptz"),
        Column("time_zone", "text"),
        Column("amount", "numeric"),
        Column("credits", "numeric"),
        Column("months", "int"),
        Column("payment_method", "text"),
        Column("card_last_digits", "text"),
        Column("account_type", "text"),
        Column("invoice_history", "json"),
    ),
    key_columns=("purchased_on", "account", "payment_id"),
    key_sql="lpad(to_hex(payment_id), 32, '0')::uuid",
    identity_has_day=False,
    fields=(
        ("amount", "amount"),
        ("credits", "credits"),
        ("months", "months"),
        ("paymentMethod", "payment_method"),
        ("cardLastDigits", "card_last_digits"),
        ("accountType", "account_type"),
        ("invoiceHistory", "invoice_history"),
    ),
    compared=("amount", "credits", "payment_method"),
)
