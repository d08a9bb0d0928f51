"""Loaded days without a vendor: rows as the loader writes them, receipts, and the marts after them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.receipt_writer import write_receipts

MOSCOW = ZoneInfo("Europe/Moscow")
ZONES = {
    "calltouch": MOSCOW,
    "tellody": ZoneInfo("Europe/Athens"),
    "trust": ZoneInfo("America/Santiago"),
}
TABLES = {
    "calltouch": ("calltouch_sms", "sent_on", "site_id"),
    "tellody_activity": ("tellody_activity", "activity_on", "account"),
    "tellody_purchases": ("tellody_credit_purchase", "purchased_on", "account"),
    "trust": ("trust_campaign_statistics", "stats_on", "company_id"),
}


def pseudonym(text: str) -> UUID:
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def masked(text: str) -> str:
    """A stand-in for the vendor's masking: digits become #."""
    return "".join("#" if c.isdigit() else c for c in text)


def sms(
    phone: str | None,
    message: str | None = "Распродажа",
    outcome: str = "delivered",
    reason: str | None = None,
    at: str = "12:00:00",
    **more: Any,
) -> dict[str, Any]:
    """One SMS of a day yet to be told; ``at`` is local time; no phone, no text: the vendor said null."""
    return {
        "phone": phone,
        "message": message,
        "outcome": outcome,
        "reason": reason,
        "at": at,
    } | more


def text_of(message: str | None, segments: int) -> dict[str, Any]:
    if message is None:
        return {"template_id": None, "segments": None}
    return {"template_id": pseudonym(masked(message)), "segments": segments}


@dataclass
class Loads:
    """Loads days into a warehouse as the pipeline does, one transaction each."""

    warehouse: Warehouse
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def sms(
        self,
        day: date,
        rows: list[dict[str, Any]],
        site: int = 101,
        *,
        asked: datetime | None = None,
        settled: bool = False,
        zone: ZoneInfo = MOSCOW,
    ) -> None:
        """Make the site's day equal to these SMS."""
        counted: dict[tuple[Any, ...], int] = {}
        full = []
        for row in rows:
            local = datetime.fromisoformat(f"{day} {row['at']}").replace(tzinfo=zone)
            same = (row["phone"], row["message"], row["at"])
            counted[same] = counted.get(same, 0) + 1
            final = row["outcome"] in ("delivered", "failed")
            full.append(
                {
                    "sms_key": pseudonym("/".join(map(str, same))),
                    "occurrence": counted[same],
                    "sent_at": local,
                    "phone": row["phone"],
                    "phone_e164": row["phone"],
                    "country": row.get("country", "RU" if row["phone"] else None),
                    "recipient": None if row["phone"] is None else pseudonym(row["phone"]),
                    "status": "delivered",
                    "status_detail": "Доставлено",
                    "outcome": row["outcome"],
                    "reason": row["reason"],
                    "is_final": final,
                    "message": row["message"],
                    **text_of(row["message"], row.get("segments", 1)),
                    "first_loaded_at": row.get("first_loaded_at", datetime.now(UTC)),
                    "final_seen_at": row.get("final_seen_at"),
                }
            )
        self.rows("calltouch", str(site), day, full, asked=asked, settled=settled, zone=zone)

    def rows(
        self,
        source: str,
        account: str,
        day: date,
        rows: list[dict[str, Any]],
        *,
        asked: datetime | None = None,
        settled: bool = False,
        zone: ZoneInfo | None = None,
        currency: str | None = None,
    ) -> None:
        """Make the account's day equal to these rows of the source's table."""
        table, day_column, account_column = TABLES[source]
        zone = zone or ZONES[source.partition("_")[0]]
        with self.warehouse.connect(what="test") as connection:
            connection.execute(
                "SELECT ops.ensure_month(%s::regclass, %s)", (f"warehouse.{table}", day)
            )
            connection.commit()
            where = sql.SQL(" WHERE {} = %s AND {}::text = %s").format(
                sql.Identifier(day_column), sql.Identifier(account_column)
            )
            name = sql.Identifier("warehouse", table)
            gone = connection.execute(
                sql.SQL("DELETE FROM {}").format(name) + where, (day, account)
            )
            loaded_at = datetime.now(UTC)
            for row in rows:
                values = {
                    day_column: day,
                    account_column: account,
                    "content_hash": 0,
                    "first_loaded_at": loaded_at,
                    "changed_at": loaded_at,
                } | row
                connection.execute(
                    sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                        name,
                        sql.SQL(", ").join(map(sql.Identifier, values)),
                        sql.SQL(", ").join(map(sql.Placeholder, values)),
                    ),
                    values,
                )
            receipt = Receipt(
                source, account, day, next(self.numbers), asked or loaded_at,
                rows_received=len(rows), rows_inserted=len(rows), rows_deleted=gone.rowcount,
            )  # fmt: skip
            self.receipt(connection, receipt, zone, currency, settled)

    def unchanged(self, day: date, rows: int, asked: datetime, site: int = 101) -> None:
        """A load that found a site's day as it stood."""
        with self.warehouse.connect(what="test") as connection:
            receipt = Receipt(
                "calltouch", str(site), day, next(self.numbers), asked, rows_unchanged=rows
            )
            self.receipt(connection, receipt, MOSCOW, None, False)

    def receipt(
        self,
        connection: psycopg.Connection[Any],
        receipt: Receipt,
        zone: ZoneInfo,
        currency: str | None,
        settled: bool,
    ) -> None:
        receipt.settled = settled
        write_receipts(connection, [receipt], None)
        connection.execute(
            "UPDATE ops.day_state SET settled = %s WHERE source = %s AND account = %s AND day = %s",
            (settled, receipt.source, receipt.account, receipt.day),
        )
        account = Account(receipt.source, receipt.account, zone)
        marts.after_load(
            connection,
            account.source.partition("_")[0],
            account,
            [receipt],
            sms_mask=masked if account.source == "calltouch" else None,
            currency=currency,
        )
        connection.commit()

    def count_months(self, *, passed_only: bool = False, finished: Sequence[int] = ()) -> int:
        with self.warehouse.connect(autocommit=True, what="test") as connection:
            return marts.refresh_stale(
                connection, masked, passed_only=passed_only, finished=finished
            )


@dataclass
class Readers:
    """Signs in as BI roles and as users made for a test; answers with rows."""

    warehouse: Warehouse
    made: dict[str, SecretStr] = field(default_factory=dict)

    def password(self, user: str) -> str:
        return {**self.warehouse.logins, **self.made}[user].get_secret_value()

    def user(self, name: str, *roles: str) -> str:
        """A login that belongs to these roles and has nothing of its own."""
        with self.warehouse.connect_admin() as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                    sql.Identifier(name),
                    sql.Literal(f"test-{name}"),
                    sql.SQL(", ").join(map(sql.Identifier, roles)),
                )
            )
        self.made[name] = SecretStr(f"test-{name}")
        return name

    @contextmanager
    def session(self, user: str) -> Iterator[psycopg.Connection[Any]]:
        parameters = {**self.warehouse.place, "user": user, "password": self.password(user)}
        # Read-only is a default, which any session may leave: what holds are the privileges.
        parameters["options"] = "-c default_transaction_read_only=off"
        with psycopg.connect(**parameters, autocommit=True) as connection:
            yield connection

    def ask(
        self, query: str, user: str = "warehouse_bi", values: Any = None
    ) -> list[tuple[Any, ...]]:
        with self.session(user) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, user: str = "warehouse_bi", values: Any = None) -> Any:
        [row] = self.ask(query, user, values)
        return row[0] if len(row) == 1 else row


@pytest.fixture
def loads(warehouse: Warehouse) -> Loads:
    return Loads(warehouse)


@pytest.fixture
def readers(warehouse: Warehouse) -> Iterator[Readers]:
    readers = Readers(warehouse)
    yield readers
    with warehouse.connect_admin() as connection:
        for name in readers.made:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def people() -> Callable[[int], list[str]]:
    """Distinct phone numbers."""
    return lambda count: [f"+7999{n:07d}" for n in range(count)]


DAY = date(2024, 4, 1)
NEXT = DAY + timedelta(days=1)
