"""Backfills that are stopped in the middle: by Ctrl-C, and by a kill that nobody can catch.

Real processes of the command, a real warehouse, a vendor that takes its time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import pytest

from dagster_project.orchestration import launch, liveness
from dagster_project.sandbox.server import Sandbox, running_sandbox
from tests.support.operating import House

pytestmark = pytest.mark.long

FIRST, LAST = date(2024, 4, 1), date(2024, 4, 20)
DAYS = 20
PATIENCE = 300.0


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-05-20T12:00:00+03:00", tellody={"latency": 0.25}) as sandbox:
        yield sandbox


class Backfill:
    """``warehouse backfill`` of twenty days, a call each, in a process of its own."""

    def __init__(self, house: House) -> None:
        self.house = house
        command = "from dagster_project.cli.main import main; main()"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", command, "backfill", "--source", "tellody_activity"),
                *("--from", str(FIRST), "--to", str(LAST)),
            ],
            env=os.environ.copy(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, days: int) -> None:
        """Wait until so many days are committed."""
        give_up = time.monotonic() + PATIENCE
        while len(committed(self.house)) < days:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < give_up, "it does not get on"
            time.sleep(0.1)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


def committed(house: House) -> dict[date, int]:
    return dict(house.rows("SELECT day, rows FROM ops.day_state WHERE source = 'tellody_activity'"))


def outcomes(house: House) -> dict[str, int]:
    return dict(house.rows("SELECT outcome, count(*)::int FROM ops.extraction GROUP BY outcome"))


def held_locks(house: House) -> int:
    """Advisory locks in this database, once the server has noticed who is gone."""
    held = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
    give_up = time.monotonic() + 100
    while True:
        [(count,)] = house.rows(
            f"{held} WHERE locktype = 'advisory' AND datname = current_database()"
        )
        if not count or time.monotonic() > give_up:
            return int(count)
        time.sleep(0.1)


def only_run(house: House) -> dg.DagsterRun:
    [run] = house.instance.get_runs()
    return run


def test_ctrl_c_cancels_the_run_and_keeps_what_is_committed(house: House) -> None:
    backfill = Backfill(house)
    backfill.until(3)
    backfill.process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    status, errors = backfill.end()
    assert status == 130, errors
    assert time.monotonic() - interrupted < 60
    run = only_run(house)
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert held_locks(house) == 0
    assert 3 <= len(committed(house)) < DAYS
    assert "started" not in outcomes(house)
    assert run.run_id in errors
    assert "interrupted" in errors
    assert "Traceback" not in errors


def test_ctrl_c_between_making_a_run_and_beginning_it_leaves_no_run_that_waits_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "execute_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        house.refresh([FIRST], "tellody_activity")
    assert only_run(house).status == dg.DagsterRunStatus.CANCELED


def test_a_run_that_was_made_and_never_begun_is_canceled_after_a_while(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(launch, "execute_run", killed)
    with pytest.raises(RuntimeError):
        house.refresh([FIRST], "tellody_activity")
    assert liveness.fail_dead_runs(house.instance, house.warehouse) == []
    database = house.warehouse.dagster_database
    with house.warehouse.connect_admin(database=database) as connection:
        connection.execute("UPDATE runs SET update_timestamp = update_timestamp - interval '2 h'")
    made = only_run(house).run_id
    assert liveness.fail_dead_runs(house.instance, house.warehouse) == [made]
    assert only_run(house).status == dg.DagsterRunStatus.CANCELED


def test_a_killed_backfill_leaves_no_lock_no_started_run_and_is_made_whole_by_another(
    house: House,
) -> None:
    backfill = Backfill(house)
    backfill.until(3)
    backfill.process.kill()
    backfill.end()
    assert held_locks(house) == 0
    assert only_run(house).status == dg.DagsterRunStatus.STARTED
    dead = liveness.fail_dead_runs(house.instance, house.warehouse, grace=timedelta())
    assert dead == [only_run(house).run_id]
    assert only_run(house).status == dg.DagsterRunStatus.FAILURE
    assert "started" not in outcomes(house)
    before = committed(house)
    status, errors = Backfill(house).end()
    assert status == 0, errors
    after = committed(house)
    assert len(after) == DAYS
    assert before.items() <= after.items()


def test_a_run_that_lives_is_not_buried(house: House) -> None:
    backfill = Backfill(house)
    backfill.until(1)
    assert liveness.fail_dead_runs(house.instance, house.warehouse, grace=timedelta()) == []
    assert outcomes(house).get("abandoned") is None
    backfill.process.kill()
    backfill.end()


def test_two_backfills_of_the_same_days_at_once_both_end_with_the_right_rows(house: House) -> None:
    both = [Backfill(house), Backfill(house)]
    for backfill in both:
        status, errors = backfill.end()
        assert status == 0, errors
    assert len(committed(house)) == DAYS
    assert held_locks(house) == 0
