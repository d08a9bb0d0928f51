"""A feed, and the one walk from a window to its receipts.

Grain: a feed is one kind of answer of one vendor, loaded into one table; the walk takes one window
(an account and whole local days) from the vendor to the warehouse: ask → store the response → read
its rows → load → receipt. Each step is a plain function that knows nothing of Dagster.

Two connections serve a window. The ledger's commits at once: extractions and responses outlive a
failure. The load's holds the window's transaction: rows, rejects and receipts, all or nothing.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from dagster_project.errors import (
    AnswerNotTrusted,
    NothingStored,
    SuspiciouslyShrunk,
    Unexpected,
    WarehouseError,
)
from dagster_project.model import Account, Answer, Batch, Restart, Table, Tally, Window
from dagster_project.settings import Settings
from dagster_project.warehouse import ledger, raw_store
from dagster_project.warehouse.connection import Warehouse, safe_errors
from dagster_project.warehouse.ledger import Connection, Extraction, Receipt
from dagster_project.warehouse.load import DaysShrank, ShrinkGuard, WindowLoad, refresh_statistics
from dagster_project.warehouse.months import MonthKeeper


class Reach(Enum):
    """How much one question to the vendor can cover."""

    RANGE = "any run of days, at a cost by rows"
    DAY = "one day a call"
    HISTORY = "everything there ever was, in one answer"


class Client(Protocol):
    """Speaks one vendor's HTTP. ``extract`` ends normally only where completeness is proved."""

    def extract(self, window: Window, tally: Tally) -> Iterator[Answer | Restart]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Feed:
    """One kind of answer of one vendor and the table it is loaded into.

    ``accounts`` is empty where the source has no credentials. ``settle_days`` is how long a day
    may still change. ``to_batch`` is pure; its last argument is what ``row_context`` made.
    """

    source: str
    asset: tuple[str, str]
    raw_asset: tuple[str, str]
    title: str
    table: Table
    reach: Reach
    time_zone: Callable[[Settings], ZoneInfo]
    accounts: Callable[[Settings], tuple[Account, ...]]
    client: Callable[[Settings, Warehouse], Client]
    row_context: Callable[[Settings, str], Any]
    to_batch: Callable[[Answer, Window, Any], Batch]
    settle_days: Callable[[Settings], int]
    window_days: int = 1
    window_rows: int = 200_000
    loads_today: bool = False
    metadata: Callable[[Sequence[Receipt]], dict[str, Any]] = field(default=lambda receipts: {})


@dataclass
class Outcome:
    """What a walk ended with: receipts of the days that committed, and what went wrong with others."""

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    extractions: list[Extraction] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.receipts += other.receipts
        self.problems += other.problems
        self.extractions += other.extractions
        self.tally.requests += other.tally.requests
        self.tally.points += other.tally.points
        self.tally.pages += other.tally.pages


class _TooManyRows(Exception):
    """The first page told of more rows than one transaction should hold."""

    def __init__(self, rows: int, tally: Tally) -> None:
        self.rows = rows
        self.tally = tally
        super().__init__(f"{rows} rows")


AfterRows = Callable[[Connection, Feed, list[Receipt], Any], None]


class Walk:
    """Walks windows of one feed; safe to use from several threads, each window on connections of its own."""

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        warehouse: Warehouse,
        pii_key: str,
        *,
        run_id: str | None = None,
        accept_shrink: bool = False,
        guard: ShrinkGuard | None = None,
        after_rows: AfterRows | None = None,
    ) -> None:
        self.feed = feed
        self.settings = settings
        self.warehouse = warehouse
        self.run_id = run_id
        self.guard = None if accept_shrink else (guard or ShrinkGuard())
        self.after_rows = after_rows
        self._pii_key = pii_key
        self._local = threading.local()
        self.months = MonthKeeper(warehouse)
        self._client: Client | None = None
        self._opening = threading.Lock()
        self._idle: LifoQueue[tuple[Connection, Connection]] = LifoQueue()

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client is not None:
            self._client.close()
        self.months.close()
        with suppress(Empty):
            while True:
                for connection in self._idle.get_nowait():
                    connection.close()

    @property
    def context(self) -> Any:
        """What turns answers into rows keeps memories, and is each thread's own."""
        if not hasattr(self._local, "context"):
            self._local.context = self.feed.row_context(self.settings, self._pii_key)
        return self._local.context

    @property
    def client(self) -> Client:
        """The vendor's client, made when first asked for: a replay never makes one."""
        with self._opening:
            if self._client is None:
                self._client = self.feed.client(self.settings, self.warehouse)
            return self._client

    def refresh(self, window: Window, wanted: Collection[date] | None = None) -> Outcome:
        """Ask the vendor for the window and make the warehouse equal to its answer.

        What went wrong is in the outcome's ``problems``; the old rows of those days stand
        untouched. A window of more rows than ``feed.window_rows`` is split and asked in parts.
        """
        try:
            with self._connections() as pair, _at(window):
                return self._refresh(window, wanted, *pair)
        except _TooManyRows as many:
            outcome = Outcome(tally=many.tally)
            for part in split(window, -(-many.rows // self.feed.window_rows)):
                outcome.add(self.refresh(part, wanted))
            return outcome
        except WarehouseError as problem:
            return Outcome(problems=[problem])

    def _refresh(
        self,
        window: Window,
        wanted: Collection[date] | None,
        ledger_connection: Connection,
        connection: Connection,
    ) -> Outcome:
        load: WindowLoad | None = None
        with self._extraction(window, ledger_connection) as (extraction, tally):
            try:
                for answer in self._stored(window, tally, extraction, ledger_connection):
                    if isinstance(answer, Restart):
                        connection.rollback()
                        load = None
                        continue
                    if load is None:
                        self._check_size(window, tally)
                        load = self._begin(connection, window, extraction, wanted=wanted)
                    load.add(self.feed.to_batch(answer, window, self.context))
            except BaseException:
                connection.rollback()
                raise
        if load is None:
            raise AnswerNotTrusted("the vendor's client came back without any answer.")
        return self._commit(load, connection, ledger_connection, tally)

    def extract(self, window: Window) -> Outcome:
        """Ask the vendor for the window and store its responses; rows are left as they stand."""
        try:
            with (
                self._connections() as (ledger_connection, _),
                _at(window),
                self._extraction(window, ledger_connection) as (extraction, tally),
            ):
                for _answer in self._stored(window, tally, extraction, ledger_connection):
                    pass
                bare = [
                    Receipt(
                        self.feed.source,
                        window.account.label,
                        day,
                        extraction.extraction_id,
                        extraction.started_at,
                    )
                    for day in window.days
                ]
                return Outcome(bare, tally=tally, extractions=[extraction])
        except WarehouseError as problem:
            return Outcome(problems=[problem])

    @contextmanager
    def _extraction(
        self, window: Window, connection: Connection
    ) -> Iterator[tuple[Extraction, Tally]]:
        """An extraction from its opening to its end: complete, failed, or split into parts."""
        tally = Tally()
        extraction = ledger.begin_extraction(connection, window, self.run_id)
        try:
            yield extraction, tally
        except BaseException as error:
            outcome = "split" if isinstance(error, _TooManyRows) else "failed"
            text = str(error) if isinstance(error, WarehouseError) else type(error).__name__
            with suppress(Exception):
                ledger.end_extraction(connection, extraction, tally, outcome, text[:2000])
            raise
        ledger.end_extraction(connection, extraction, tally, "complete")

    def _check_size(self, window: Window, tally: Tally) -> None:
        rows = tally.vendor_total or 0
        if self.feed.reach is Reach.RANGE and len(window.days) > 1 and rows > self.feed.window_rows:
            raise _TooManyRows(rows, tally)

    def replay(self, account: Account, days: Sequence[date]) -> Outcome:
        """Rebuild days from their stored responses, without a vendor call.

        A day's responses are the latest complete extraction whose window covers it. Days of which
        none is stored are problems in the outcome; nothing of theirs changes.
        """
        outcome = Outcome()
        with self._connections() as (ledger_connection, connection):
            latest = ledger.latest_complete(
                ledger_connection, self.feed.source, account.label, days
            )
            for day in days:
                if day not in latest:
                    outcome.problems.append(_nothing_stored(self.feed.source, account, day))
            for extraction in sorted(set(latest.values()), key=lambda e: e.extraction_id):
                window = Window(extraction.first_day, extraction.last_day, account)
                wanted = {day for day, from_ in latest.items() if from_ == extraction}
                try:
                    with _at(window):
                        load = self._load_stored(
                            ledger_connection, connection, window, extraction, wanted, ()
                        )
                        outcome.add(self._commit(load, connection, ledger_connection, Tally()))
                except WarehouseError as problem:
                    connection.rollback()
                    outcome.problems.append(problem)
        return outcome

    def _stored(
        self,
        window: Window,
        tally: Tally,
        extraction: Extraction,
        ledger_connection: Connection,
    ) -> Iterator[Answer | Restart]:
        """The client's answers, each stored before it is handed on."""
        attempt = 1
        for answer in self.client.extract(window, tally):
            if isinstance(answer, Restart):
                attempt += 1
            else:
                raw_store.store(ledger_connection, extraction.extraction_id, attempt, answer)
            yield answer

    def _begin(
        self,
        connection: Connection,
        window: Window,
        extraction: Extraction,
        *,
        wanted: Collection[date] | None = None,
        skip: Collection[date] = (),
        is_replay: bool = False,
    ) -> WindowLoad:
        load = WindowLoad(
            connection,
            self.feed.table,
            window,
            extraction,
            ensure_month=self.months.ensure,
            skip=skip,
            wanted_days=wanted if self.feed.reach is Reach.HISTORY else None,
            is_replay=is_replay,
            guard=self.guard,
            lock_whole=self.feed.reach is Reach.HISTORY,
        )
        load.begin()
        return load

    def _load_stored(
        self,
        ledger_connection: Connection,
        connection: Connection,
        window: Window,
        extraction: Extraction,
        wanted: Collection[date],
        held: Collection[date],
        *,
        is_replay: bool = True,
    ) -> WindowLoad:
        """A load from stored responses of the wanted days of a window, up to its ``finish``."""
        skip = set(held)
        if self.feed.reach is not Reach.HISTORY:
            skip |= set(window.days) - set(wanted)
        load = self._begin(
            connection, window, extraction, wanted=wanted, skip=skip, is_replay=is_replay
        )
        for answer in raw_store.stored_answers(ledger_connection, extraction.extraction_id):
            load.add(self.feed.to_batch(answer, window, self.context))
        return load

    def _commit(
        self,
        load: WindowLoad,
        connection: Connection,
        ledger_connection: Connection,
        tally: Tally,
        problems: Sequence[WarehouseError] = (),
    ) -> Outcome:
        """Finish the load and commit; days that shrank suspiciously are held, the others loaded."""
        try:
            receipts = load.finish(self._after_rows, self.run_id)
        except DaysShrank as shrank:
            connection.rollback()
            held = [self._hold(ledger_connection, load, *item) for item in shrank.shrunk.items()]
            again = self._load_stored(
                ledger_connection,
                connection,
                load.window,
                load.extraction,
                load.wanted_days if load.wanted_days is not None else load.window.days,
                {*load.skip, *shrank.shrunk},
                is_replay=load.is_replay,
            )
            return self._commit(again, connection, ledger_connection, tally, [*problems, *held])
        connection.commit()
        if load.fresh_rows:
            fresh = [receipt.day for receipt in receipts if receipt.rows_inserted]
            refresh_statistics(ledger_connection, self.feed.table, fresh)
        if load.superseded:
            # A later observation stands already: for these days there was nothing left to do.
            receipts += ledger.standing_receipts(
                ledger_connection,
                self.feed.source,
                load.extraction.account,
                [day for day in load.superseded if day in (load.wanted_days or load.window.days)],
            )
        return Outcome(receipts, list(problems), tally, [load.extraction])

    def _after_rows(self, connection: Connection, receipts: list[Receipt]) -> None:
        if self.after_rows is not None:
            self.after_rows(connection, self.feed, receipts, self.context)

    def _hold(
        self, ledger_connection: Connection, load: WindowLoad, day: date, rows: tuple[int, int]
    ) -> SuspiciouslyShrunk:
        before, after = rows
        reason = f"had {before} rows, came back with {after}"
        ledger.hold_day(ledger_connection, self.feed.source, load.extraction.account, day, reason)
        return SuspiciouslyShrunk(
            f"the day {reason}: held, its old rows stand.",
            source=self.feed.source,
            account=load.extraction.account,
            window=day,
            way_out=(
                f"if the vendor is right: warehouse backfill --source {self.feed.source}"
                f" --account {load.extraction.account} --from {day} --to {day} --accept-shrink"
            ),
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that commits at once, for looking things up."""
        with self._connections() as (connection, _):
            yield connection

    @contextmanager
    def _connections(self) -> Iterator[tuple[Connection, Connection]]:
        """A ledger connection (commits at once) and a load connection; given back whole or closed."""
        with safe_errors():
            try:
                pair = self._idle.get_nowait()
            except Empty:
                pair = (
                    self.warehouse.connect(what="ledger", autocommit=True),
                    self.warehouse.connect(what="load"),
                )
            try:
                yield pair
            except BaseException:
                for connection in pair:
                    connection.close()
                raise
            self._idle.put(pair)


def split(window: Window, parts: int) -> list[Window]:
    """The window in at most so many runs of days of about equal length, newest first."""
    days = window.days
    length = max(1, -(-len(days) // parts))
    starts = range(0, len(days), length)
    return [
        Window(days[at], days[min(at + length, len(days)) - 1], window.account)
        for at in reversed(starts)
    ]


@contextmanager
def _at(window: Window) -> Iterator[None]:
    """Name the source, account and window in what is raised inside."""
    account = window.account
    try:
        with safe_errors():
            yield
    except WarehouseError as error:
        error.at(source=account.source, account=account.label, window=window)
        raise
    except _TooManyRows:
        raise
    except Exception as error:  # noqa: BLE001
        # A bug: its message may quote a row, so only its kind and place are told.
        raise Unexpected(
            f"unexpected {type(error).__name__} at {_place(error)}.",
            source=account.source,
            account=account.label,
            window=window,
            way_out="this is a defect: report it with the lines above; the old rows stand.",
        ) from None


def _place(error: BaseException) -> str:
    """Files and lines of the innermost frames, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


def _nothing_stored(source: str, account: Account, day: date) -> NothingStored:
    return NothingStored(
        "no complete response of this day is stored; its rows stand as they are.",
        source=source,
        account=account.label,
        window=day,
        way_out=(
            f"ask the vendor again: warehouse backfill --source {source}"
            f" --account {account.label} --from {day} --to {day}"
        ),
    )
