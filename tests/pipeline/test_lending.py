"""What a run lends: pairs of connections to its windows, and one alone for a query."""

from __future__ import annotations

import psycopg
import pytest

from dagster_project.errors import DatabaseFailed
from dagster_project.pipeline.lending import ConnectionPairs
from dagster_project.warehouse.connection import Warehouse
from tests.support.connections import note_connections


def test_the_ledgers_connection_commits_at_once_and_the_loads_does_not(
    warehouse: Warehouse,
) -> None:
    pairs = ConnectionPairs(warehouse)
    with pairs.pair() as pair:
        assert pair.ledger.autocommit
        assert not pair.load.autocommit
    pairs.close()
    assert pair.ledger.closed
    assert pair.load.closed


def test_a_pair_that_was_given_back_whole_is_lent_again(warehouse: Warehouse) -> None:
    pairs = ConnectionPairs(warehouse)
    with pairs.pair() as first, pairs.pair() as other:
        assert other.ledger is not first.ledger
    with pairs.pair() as again:
        assert again == first
    pairs.close()


def test_a_pair_in_which_something_failed_is_closed(warehouse: Warehouse) -> None:
    pairs = ConnectionPairs(warehouse)
    with pytest.raises(KeyboardInterrupt), pairs.pair() as failed:
        raise KeyboardInterrupt
    assert failed.load.closed
    with pairs.pair() as other:
        assert other is not failed
    pairs.close()


@pytest.mark.parametrize("which", ["ledger", "load"])
def test_a_connection_that_the_server_broke_is_not_lent(warehouse: Warehouse, which: str) -> None:
    pairs = ConnectionPairs(warehouse)
    with pairs.pair() as pair:
        pass
    broken = getattr(pair, which)
    with warehouse.connect_admin() as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (broken.info.backend_pid,))
    with pytest.raises(psycopg.Error):
        broken.execute("SELECT 1")
    with pairs.pair() as another:
        for connection in another:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert (another.ledger is pair.ledger) == (which == "load")
    assert broken.closed
    pairs.close()


def test_a_query_has_the_ledgers_connection_of_a_pair_that_is_idle_and_opens_no_other(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = note_connections(monkeypatch)
    pairs = ConnectionPairs(warehouse)
    with pairs.reading() as ledger:
        assert ledger.autocommit
    with pairs.pair() as pair:
        assert pair.ledger is ledger
    with pairs.reading() as again:
        assert again is ledger
    assert opened == ["ledger", "load"]
    pairs.close()


def test_a_connection_over_which_a_query_failed_is_closed(warehouse: Warehouse) -> None:
    pairs = ConnectionPairs(warehouse)
    with pytest.raises(DatabaseFailed), pairs.reading() as failed:
        failed.execute("SELECT 1 / 0")
    assert failed.closed
    with pairs.reading() as other:
        assert other is not failed
    pairs.close()
