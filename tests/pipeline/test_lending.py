"""What a run lends to its windows: pairs of connections."""

from __future__ import annotations

import psycopg
import pytest

from dagster_project.pipeline.lending import ConnectionPairs
from dagster_project.warehouse.connection import Warehouse


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
        assert again is first
    pairs.close()


def test_a_pair_in_which_something_failed_is_closed(warehouse: Warehouse) -> None:
    pairs = ConnectionPairs(warehouse)
    with pytest.raises(KeyboardInterrupt), pairs.pair() as failed:
        raise KeyboardInterrupt
    assert failed.load.closed
    with pairs.pair() as other:
        assert other is not failed
    pairs.close()


def test_a_pair_that_the_server_broke_is_not_lent(warehouse: Warehouse) -> None:
    pairs = ConnectionPairs(warehouse)
    with pairs.pair() as broken:
        pass
    with warehouse.connect_admin() as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (broken.load.info.backend_pid,))
    with pytest.raises(psycopg.Error):
        broken.load.execute("SELECT 1")
    with pairs.reading() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert broken.ledger.closed
    pairs.close()
