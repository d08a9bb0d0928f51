"""Advisory locks by source, account and day: two processes never load the same day at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime

from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value


def lock_days(
    connection: Connection, source: str, account: str, days: Sequence[date]
) -> datetime | None:
    """Lock these days against other loads until the transaction ends, in ascending order to avoid deadlocks.

    Returns the transaction's time; None: there was no day.
    """
    keys = [_lock_key(source, account, day) for day in sorted(days)]
    locked = "SELECT now(), pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS t(k)"
    now: datetime | None = fetch_value(connection, locked, (keys,))
    return now


def _lock_key(source: str, account: str, day: date) -> int:
    digest = hashlib.blake2b(f"{source}/{account}/{day}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
