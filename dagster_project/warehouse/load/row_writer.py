"""Write a window's differences: new, changed and vanished rows.

New rows are streamed into the table. Changed and vanished rows are few: they are collected, and applied at
the end by one UPDATE and one DELETE, both limited to the window's days and account, so that only its
monthly partitions are scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import date, datetime

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import Copy, sql

from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import NULL, encode_timestamptz, pack_integer
from dagster_project.model.table import Table
from dagster_project.model.window import Window, day_of
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.existing_rows import COPY_HEADER, COPY_TRAILER
from dagster_project.warehouse.load.row_index import Flags, spread_day

_HASH_FIELD = np.dtype([("size", ">i4"), ("hash", ">u8")])

EnsureMonth = Callable[[Table, date], None]


class GivenUp(Exception):
    """Raised to abort a COPY. The server logs its name as the reason, so it holds no data."""


class RowWriter:
    """Writes a window's differences inside the caller's transaction.

    ``loaded_at`` (the transaction's time) dates ``first_loaded_at`` and ``changed_at``;
    ``observed_at`` (when the vendor was asked) dates the observed column.
    """

    def __init__(
        self,
        connection: Connection,
        table: Table,
        window: Window,
        loaded_at: datetime,
        observed_at: datetime,
        ensure_month: EnsureMonth,
    ) -> None:
        self.connection = connection
        self.table = table
        self.window = window
        self.ensure_month = ensure_month
        self._columns = [column.name for column in table.columns] + ["content_hash"]
        self._columns += ["occurrence"] if table.has_occurrence else []
        self._columns += ["first_loaded_at", "changed_at"]
        self._columns += [table.observed_column] if table.observed_column else []
        self._head = len(self._columns).to_bytes(2, "big")
        not_observed = NULL if table.observed_column else b""
        observed = encode_timestamptz(observed_at) if table.observed_column else b""
        loaded = encode_timestamptz(loaded_at) * 2
        self._tails = (loaded + not_observed, loaded + observed)
        self._stack = ExitStack()
        self._copy: Copy | None = None
        self._months: set[date] = set()
        self._updates: list[bytes] = []
        self._deletes: tuple[list[date], list[str], list[int]] = ([], [], [])

    def copy(self, batch: Batch, observed: Flags, positions: NDArray[np.intp]) -> None:
        """Write the batch's rows at these positions as new rows, occurrence 1."""
        if not len(positions):
            return
        self._ensure_months(set(batch.days[positions].tolist()))
        self._stream().write(self._rows(batch, observed, _in_key_order(batch, positions)))

    def _rows(self, batch: Batch, observed: Flags, positions: NDArray[np.intp]) -> bytes:
        hashes = np.empty(len(positions), _HASH_FIELD)
        hashes["size"] = 8
        hashes["hash"] = batch.hashes[positions]
        closes = [self._occurrence(1) + tail for tail in self._tails]
        records = [batch.records[at] for at in positions.tolist()]
        pieces = [self._head] * (4 * len(records))
        pieces[1::4] = records
        pieces[2::4] = hashes.view(f"V{_HASH_FIELD.itemsize}").tolist()
        pieces[3::4] = map(closes.__getitem__, observed[positions].tolist())
        return b"".join(pieces)

    def copy_one(
        self, day: int, record: bytes, content_hash: int, observed: bool, occurrence: int
    ) -> None:
        """Write one new row with the given occurrence."""
        self._ensure_months([day])
        self._stream().write(self._row(record, content_hash, observed, occurrence))

    def _row(self, record: bytes, content_hash: int, observed: bool, occurrence: int) -> bytes:
        return (
            self._head
            + record
            + b"\0\0\0\x08"
            + content_hash.to_bytes(8, "big")
            + self._occurrence(occurrence)
            + self._tails[observed]
        )

    def _occurrence(self, number: int) -> bytes:
        return pack_integer(4, number) if self.table.has_occurrence else b""

    def update(
        self,
        old_day: int,
        identity: tuple[int, int],
        occurrence: int,
        new: tuple[int, bytes, int, bool],
    ) -> None:
        """Change the existing row of this day, identity and occurrence to ``new`` (day, record, hash, observed)."""
        day, record, content_hash, observed = new
        self._ensure_months([day])
        row = self._row(record, content_hash, observed, occurrence)
        self._updates.append(
            (len(self._columns) + 2).to_bytes(2, "big")
            + pack_integer(4, old_day)
            + b"\0\0\0\x10"
            + self._key(identity, old_day)
            + row[2:]
        )

    def delete(self, day: int, identity: tuple[int, int], occurrence: int) -> None:
        days, keys, occurrences = self._deletes
        days.append(day_of(day))
        keys.append(self._key(identity, day).hex())
        occurrences.append(occurrence)

    def finish(self) -> None:
        """End the COPY, then delete, then update."""
        self.end_stream()
        if self._deletes[0]:
            self._delete_rows()
        if self._updates:
            self._update_rows()

    def abandon(self) -> None:
        """Abort a COPY under way; without that, psycopg's rollback would wait for ever."""
        if self._copy is not None:
            with suppress(psycopg.Error):
                self._stack.__exit__(GivenUp, GivenUp(), None)
            self._copy = None

    def _key(self, identity: tuple[int, int], day: int) -> bytes:
        high, low = identity
        if self.table.identity_has_day:
            high ^= spread_day(day)
        return high.to_bytes(8, "big") + low.to_bytes(8, "big")

    def _stream(self) -> Copy:
        if self._copy is None:
            statement = sql.SQL("COPY warehouse.{} ({}) FROM STDIN (FORMAT binary)").format(
                sql.Identifier(self.table.name),
                sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            )
            self._copy = self._stack.enter_context(self.connection.cursor().copy(statement))
            self._copy.write(COPY_HEADER)
        return self._copy

    def _ensure_months(self, days: Iterable[int]) -> None:
        """Create the partitions of new months; a running COPY is ended, since it would not see them."""
        months = {day_of(day).replace(day=1) for day in days} - self._months
        if not months:
            return
        self.end_stream()
        for month in sorted(months):
            self.ensure_month(self.table, month)
        self._months |= months

    def end_stream(self) -> None:
        """End the COPY under way, so that the connection can run queries; a new one begins when needed."""
        if self._copy is not None:
            self._copy.write(COPY_TRAILER)
            self._stack.close()
            self._copy = None

    def _delete_rows(self) -> None:
        self.connection.execute(
            sql.SQL(
                "DELETE FROM warehouse.{table} USING"
                " unnest(%s::date[], %s::uuid[], %s::int[]) AS gone(gone_day, gone_key, gone_occurrence)"
                " WHERE {where} AND {day} = gone_day AND {key} = gone_key AND {occurrence}"
            ).format(
                table=sql.Identifier(self.table.name),
                where=window_condition(self.table, self.window),
                day=sql.Identifier(self.table.day_column),
                key=sql.SQL(self.table.key_sql),
                occurrence=sql.SQL(
                    "occurrence = gone_occurrence" if self.table.has_occurrence else "true"
                ),
            ),
            self._deletes,
        )

    def _update_rows(self) -> None:
        name = sql.Identifier(self.table.name)
        new = {column: sql.Identifier(f"new_{column}") for column in self._columns}
        self.connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE changed_row ON COMMIT DROP AS SELECT {day}::date AS old_day,"
                " {key} AS old_key, {columns} FROM warehouse.{name} WITH NO DATA"
            ).format(
                day=sql.Identifier(self.table.day_column),
                key=sql.SQL(self.table.key_sql),
                columns=sql.SQL(", ").join(
                    sql.SQL("{} AS {}").format(sql.Identifier(column), alias)
                    for column, alias in new.items()
                ),
                name=name,
            )
        )
        with self.connection.cursor().copy("COPY changed_row FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for at in range(0, len(self._updates), 5000):
                copy.write(b"".join(self._updates[at : at + 5000]))
            copy.write(COPY_TRAILER)
        self.connection.execute("ANALYZE changed_row")
        self.connection.execute(
            sql.SQL(
                "UPDATE warehouse.{name} SET {sets} FROM changed_row"
                " WHERE {where} AND {day} = old_day AND {key} = old_key AND {occurrence}"
            ).format(
                name=name,
                sets=sql.SQL(", ").join(self._set_clauses(new)),
                where=window_condition(self.table, self.window),
                day=sql.Identifier(self.table.day_column),
                key=sql.SQL(self.table.key_sql),
                occurrence=sql.SQL(
                    "occurrence = new_occurrence" if self.table.has_occurrence else "true"
                ),
            )
        )

    def _set_clauses(self, new: dict[str, sql.Identifier]) -> list[sql.Composable]:
        kept = {"first_loaded_at", "occurrence", self.table.observed_column}
        if self.table.identity_has_day:
            kept |= set(self.table.key_columns)
        else:
            kept |= set(self.table.key_columns) - {self.table.day_column}
        sets: list[sql.Composable] = [
            sql.SQL("{} = {}").format(sql.Identifier(column), alias)
            for column, alias in new.items()
            if column not in kept
        ]
        if self.table.observed_column and self.table.observed_when:
            column = self.table.observed_column
            sets.append(
                sql.SQL("{column} = CASE WHEN {when} THEN coalesce({column}, {new}) END").format(
                    column=sql.Identifier(column),
                    when=sql.Identifier(f"new_{self.table.observed_when}"),
                    new=new[column],
                )
            )
        return sets


def _in_key_order(batch: Batch, positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """The positions in the index's order: Postgres takes a tenth less time to insert the rows."""
    keys = np.frombuffer(batch.keys, ">u8")[::2].astype(np.uint64)[positions]
    return positions[np.lexsort((keys, batch.days[positions]))]
