"""What a run lends to its windows: pairs of connections, and the few row encoders."""

from __future__ import annotations

import threading

import psycopg
import pytest

from dagster_project.model.batch import RowEncoder
from dagster_project.pipeline.concurrency import MAX_CONCURRENT_ENCODERS
from dagster_project.pipeline.lending import ConnectionPairs, RowEncoders
from dagster_project.vendors.tellody.activity_rows import to_batch
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


def test_an_encoder_is_made_when_needed_and_the_one_used_last_is_lent_first() -> None:
    made: list[RowEncoder] = []
    encoders = RowEncoders(lambda: made.append(lambda *page: to_batch(*page)) or made[-1])
    assert made == []
    with encoders.lend() as first:
        pass
    with encoders.lend() as again:
        assert again is first
        with encoders.lend() as second:
            assert second is not first
    assert len(made) == 2 == MAX_CONCURRENT_ENCODERS


def test_an_encoder_is_waited_for_while_all_are_lent() -> None:
    encoders = RowEncoders(lambda: to_batch)
    waiting, got = threading.Event(), threading.Event()

    def wait_for_one() -> None:
        waiting.set()
        with encoders.lend():
            got.set()

    with encoders.lend():
        with encoders.lend():
            thread = threading.Thread(target=wait_for_one)
            thread.start()
            assert waiting.wait(timeout=30)
            assert not got.wait(timeout=0.2)
        assert got.wait(timeout=30)
        thread.join()


def test_an_encoder_that_could_not_be_made_is_tried_again_by_the_next() -> None:
    failures = [True] * MAX_CONCURRENT_ENCODERS

    def make() -> RowEncoder:
        if failures:
            failures.pop()
            raise MemoryError
        return to_batch

    encoders = RowEncoders(make)
    for _ in range(MAX_CONCURRENT_ENCODERS):
        with pytest.raises(MemoryError), encoders.lend():
            pass
    with encoders.lend() as encoder:
        assert encoder is to_batch
