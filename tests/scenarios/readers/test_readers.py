"""Readers while days are loaded, changed, emptied and filled again, and while months come to be.

None of them ever waits for a lock, nobody waits for one of theirs, each answer is that of one committed
state, and a long REPEATABLE READ transaction sees one state throughout and holds up nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from dagster_project.model.window import each_day
from dagster_project.sandbox.calltouch.vendor import Site
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.vendors.calltouch.personal_data import shown_template
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.scenarios.conformance.entry_calltouch import ROWS_A_PAGE
from tests.scenarios.conformance.rig import Rig
from tests.scenarios.readers.probes import AGREEMENT, BI, LOADER
from tests.scenarios.readers.watching import Reader, Watched
from tests.support.operating import feed_of

pytestmark = pytest.mark.both_servers

NOW = datetime(2024, 5, 15, 9, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=26)
MAY = list(each_day(date(2024, 5, 11), date(2024, 5, 14)))
OTHER_MONTHS = [list(each_day(date(2024, month, 10), date(2024, month, 12))) for month in (2, 3, 4)]
SITE = 601
"""One site: each refresh of it is one commit."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(
        seed=5,
        clock=Clock(EARLIER),
        calltouch={
            "sites": [Site(SITE, "Один", ordinary=250, population=100)],
            "page_size": ROWS_A_PAGE,
            "requests_per_second": 0,
            "duplicate_share": 0.05,
            "late_share": 0.05,
            "vanishing_share": 0.05,
        },
        tellody={"purchase_every_hours": 2.5, "first_purchase": "2024-05-01", "per_page_cap": 15},
    ) as sandbox:
        yield sandbox


class Loading:
    """What loaders do, a commit at a time."""

    def __init__(self, vendors: Sandbox, warehouse: Warehouse) -> None:
        self.vendors = vendors
        self.warehouse = warehouse
        self.sms = Rig(feed_of("calltouch"), vendors, warehouse, MAY)
        self.purchases = Rig(feed_of("tellody_purchases"), vendors, warehouse, MAY)

    def refresh(self, rig: Rig, days: Sequence[date] = MAY) -> None:
        done = rig.refresh(days=days, accept_shrink=True)
        assert not done.problems
        assert done.written > 0, "a load that writes nothing shows nothing"
        assert len({receipt.extraction_id for receipt in done.receipts}) == 1, "one commit"

    def recount(self) -> None:
        with self.warehouse.connect(what="marts", autocommit=True) as connection:
            marts.refresh_stale(connection, shown_template)

    def first(self, watched: Watched) -> None:
        """Days and purchases come into an empty warehouse, with their months."""
        self.vendors.world.clock.set(NOW)
        watched.step(lambda: self.refresh(self.sms))
        watched.step(lambda: self.refresh(self.purchases))

    def more(self, watched: Watched) -> None:
        """Rows change, come and go; days become empty and are filled; older months come to be."""
        world = self.vendors.world
        for moment in (EARLIER, NOW, EARLIER):
            world.clock.set(moment)
            watched.step(lambda: self.refresh(self.sms))
            watched.step(lambda: self.refresh(self.purchases))
            watched.step(self.recount)
        for day in MAY[1:]:
            world.calltouch.replace_day(SITE, day, [])
        watched.step(lambda: self.refresh(self.sms))
        world.calltouch.redraw(undo_changes=True)
        watched.step(lambda: self.refresh(self.sms))
        for month in OTHER_MONTHS:
            watched.step(lambda days=month: self.refresh(self.sms, days))


@dataclass
class Played:
    """What was seen; ``long`` are the readers in one transaction, begun after step ``since``."""

    watched: Watched
    long: list[Reader]
    since: int


@pytest.fixture(scope="module")
def played(server: PostgresServer, vendors: Sandbox) -> Iterator[Played]:
    warehouse = server.fresh()
    loading, watched = Loading(vendors, warehouse), Watched(warehouse)
    watched.begin()
    try:
        loading.first(watched)
        since = watched.board.ended
        with watched.long_transaction(BI) as analyst, watched.long_transaction(LOADER) as owner:
            loading.more(watched)
        watched.end()
        yield Played(watched, [analyst, owner], since)
    finally:
        for reader in watched.readers:
            reader.enough.set()
            reader.connection.close()
        server.drop(warehouse)


def test_no_reader_waits_for_a_lock_and_nobody_waits_for_a_readers(played: Played) -> None:
    """A reader that waited for 5 ms would have failed, too."""
    assert played.watched.waits_of_or_for_readers() == []
    assert played.watched.looks > 100


def test_each_answer_is_that_of_one_committed_state(played: Played) -> None:
    for reader in played.watched.readers:
        if reader not in played.long:
            assert played.watched.wrong_answers(reader) == [], reader.name
            assert reader.during_steps() >= 10, f"{reader.name} read too little meanwhile"


def test_views_and_marts_tell_of_the_same_state(played: Played) -> None:
    told = [seen for r in played.watched.readers for seen in r.seen if seen.probe == AGREEMENT]
    assert len({seen.answer for seen in told}) > 5, "the sums changed"
    assert [seen for seen in told if len(set(seen.answer)) != 1] == []


def test_a_long_repeatable_read_sees_one_state_while_loaders_finish(played: Played) -> None:
    board = played.watched.board
    assert board.ended == board.begun > played.since
    for reader in played.long:
        stood = board.at_rest[played.since]
        assert any(board.at_rest[-1][probe] != stood[probe] for probe in reader.probes)
        assert reader.during_steps() >= 10
        assert {(seen.probe, seen.answer) for seen in reader.seen} == {
            (probe, stood[probe]) for probe in reader.probes
        }
