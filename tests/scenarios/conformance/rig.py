"""One feed between its played vendor and a real warehouse, and what must hold whatever goes wrong.

A *trial*: the warehouse holds the vendor's past (``EARLIER``, the last day not yet over); time goes
on to ``NOW``; something goes wrong while the days are refreshed. Afterwards each day is true, or its
old rows stand whole and an error says so. Once nothing goes wrong any more, all days are true.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg import sql

from dagster_project.config.section import VendorSettings
from dagster_project.config.settings import load_settings
from dagster_project.errors import Unexpected, WarehouseError
from dagster_project.model.batch import Batch, RowEncoder
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import Response
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.marts_upkeep import marts_keeper
from dagster_project.pipeline.runner import RunScope, refresh_days
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.scenarios.conformance.entry import DAYS, EARLIER, NOW, Row
from tests.scenarios.conformance.played import PLAYED, forget_sign_ins, restore_truth

Rows = Counter[tuple[Any, ...]]
PII_KEY = "conformance-key-of-the-tests"
PHONE = re.compile(r"\d{10,}")


@dataclass
class Refreshed:
    """What a refresh ended with."""

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)

    @property
    def written(self) -> int:
        return sum(r.rows_inserted + r.rows_updated + r.rows_deleted for r in self.receipts)


class Rig:
    """``days`` are refreshed; ``span`` is compared (a feed that answers its whole history loads more)."""

    def __init__(
        self, feed: Feed, sandbox: Sandbox, warehouse: Warehouse, days: Sequence[date] = DAYS
    ) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.warehouse = warehouse
        self.played = PLAYED[feed.source]
        self.days = days
        given = {"WAREHOUSE_START_DATE": str(days[0]), "PII_RETENTION_DAYS": "100000"}
        self.settings = load_settings({**sandbox.settings_env(), **given}, dotenv=None)
        self.feed = replace(feed, open_client=self._client)
        self.accounts = feed.accounts(self.settings)

    def _client(self, section: VendorSettings, store: VendorStore) -> Any:
        return self.played.client(section, store, self.world)

    def refresh(
        self, feed: Feed | None = None, days: Iterable[date] | None = None, **options: Any
    ) -> Refreshed:
        """Ask the vendor for the days as a run does."""
        forget_sign_ins()
        done = Refreshed()
        options.setdefault("after_rows", marts_keeper(self.feed, self.settings))
        with FeedRun(feed or self.feed, self.settings, self.warehouse, PII_KEY, **options) as run:
            for chunk in refresh_days(run, RunScope(list(days or self.days))):
                done.receipts += chunk.receipts
                done.problems += chunk.problems
        return done

    def before_batch(self, number: int, action: Callable[[], None]) -> Feed:
        """The feed, but ``action`` comes before the ``number``-th answer is turned into rows."""
        seen = 0

        def encoder(secret: str) -> RowEncoder:
            encode = self.feed.row_encoder(secret)

            def encode_late(response: Response, window: Window) -> Batch:
                nonlocal seen
                seen += 1
                if seen == number:
                    action()
                return encode(response, window)

            return encode_late

        return replace(self.feed, row_encoder=encoder)

    def truth(self, account: Account) -> dict[date, Rows]:
        """What the vendor holds now, by day."""
        first, last = self._span()
        return self._by_day(self.played.truth(self.world, account, first, last))

    def standing(self, account: Account) -> dict[date, Rows]:
        """What the warehouse holds, by day."""
        table = self.feed.table
        names = self._columns(account)
        types = {column.name: column.type for column in table.columns}
        columns = [
            sql.SQL("{}::text" if types[name] == "json" else "{}").format(sql.Identifier(name))
            for name in names
        ]
        query = sql.SQL("SELECT {} FROM warehouse.{} WHERE {}::text = %s").format(
            sql.SQL(", ").join(columns),
            sql.Identifier(table.name),
            sql.Identifier(table.account_column),
        )
        with self.warehouse.connect(what="test") as connection:
            found = connection.execute(query, (account.label,)).fetchall()
        return self._by_day(dict(zip(names, row, strict=True)) for row in found)

    def _columns(self, account: Account) -> list[str]:
        """The columns that are compared."""
        first, last = self._span()
        for row in self.played.truth(self.world, account, first, last):
            return sorted(row)
        raise AssertionError(f"the played vendor of {self.feed.source} has no rows to compare")

    def _span(self) -> tuple[date, date]:
        return self.days[0], self.days[-1] + (
            ONE_DAY if self.feed.query_scope is QueryScope.HISTORY else 0 * ONE_DAY
        )

    def _by_day(self, rows: Iterable[Row]) -> dict[date, Rows]:
        table = self.feed.table
        types = {column.name: column.type for column in table.columns}
        by_day: dict[date, Rows] = {}
        for row in rows:
            values = {name: comparable(types[name], row[name]) for name in sorted(row)}
            by_day.setdefault(values[table.day_column], Counter())[tuple(values.values())] += 1
        return by_day

    def is_true(self) -> bool:
        return all(self.standing(account) == self.truth(account) for account in self.accounts)

    @contextmanager
    def trial(self) -> Iterator[dict[str, dict[date, Rows]]]:
        """The warehouse as it was ``EARLIER``, the vendor as it is ``NOW``; answers the old rows."""
        self.world.faults.clear()
        self.restore_truth()
        self.world.clock.set(EARLIER)
        # Back in time, purchases are gone; and another test may have left anything.
        past = self.refresh(accept_shrink=True, accept_rejects=True)
        assert not past.problems
        assert self.is_true()
        self.world.clock.set(NOW)
        assert not self.is_true(), "a trial in which nothing has changed proves nothing"
        yield {account.label: self.standing(account) for account in self.accounts}
        self.world.faults.clear()

    def restore_truth(self) -> None:
        """Undo what faults did to the vendor's own rows."""
        restore_truth(self.world)

    def check_outcome(
        self,
        done: Refreshed,
        old: Mapping[str, Mapping[date, Rows]],
        *,
        knows_commits: bool = True,
    ) -> None:
        """Each day is true, or its old rows stand whole and an error says so.

        ``knows_commits`` is false where a connection may have been lost at the commit itself: then
        nobody was told whether it took place.
        """
        for problem in done.problems:
            assert_clear(problem, self)
        for account in self.accounts:
            told = [p for p in done.problems if p.account in (account.label, None)]
            failed = {day for problem in told for day in days_of(problem)}
            now, true = self.standing(account), self.truth(account)
            before = old[account.label]
            if not told:
                assert now == true
            for day in {*now, *true, *before}:
                rows = now.get(day, Counter())
                was, should = before.get(day, Counter()), true.get(day, Counter())
                assert rows in (was, should), f"{account.label} {day} is a mix"
                if (
                    day in failed
                    and knows_commits
                    and self.feed.query_scope is not QueryScope.HISTORY
                ):
                    assert rows == was, f"{account.label} {day} failed, and changed"
            if self.feed.query_scope is not QueryScope.DAY:
                assert now in (true, dict(before)), f"{account.label}: a window was loaded in part"

    def heals(self) -> None:
        """With nothing in the way all days become true, and a second refresh writes nothing."""
        self.world.faults.clear()
        healed = self.refresh()
        assert not healed.problems, healed.problems
        assert self.is_true()
        assert self.refresh().written == 0


def comparable(type_: str, value: Any) -> Any:
    if isinstance(value, str):
        if type_ == "date":
            return date.fromisoformat(value)
        if type_ == "timestamptz":
            return datetime.fromisoformat(value)
        if type_ == "numeric":
            return Decimal(value)
    return value


def days_of(problem: WarehouseError) -> set[date]:
    """The days that an error's window names."""
    if problem.window is None:
        return set()
    first, _, last = problem.window.partition("..")
    begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    return {begin + n * ONE_DAY for n in range((end - begin).days + 1)}


def assert_clear(problem: WarehouseError, rig: Rig) -> None:
    """An error by name, which says where, and shows neither a phone number nor a secret."""
    text = str(problem)
    assert not isinstance(problem, Unexpected), text
    assert problem.source == rig.feed.source or rig.feed.source.startswith(f"{problem.source}_")
    assert problem.account in {account.label for account in rig.accounts}
    assert len(problem.what) > 15, text
    assert not PHONE.search(text), text
    for name, value in rig.sandbox.settings_env().items():
        if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "USERNAME")):
            assert value not in text, f"{name} is shown"
