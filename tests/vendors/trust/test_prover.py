"""From the played vendor into Postgres: servers that honour the range, ignore it, or are all quiet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from dagster_project.config.settings import load_settings
from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    RequestRefused,
    VendorCannotAnswer,
    WarehouseError,
)
from dagster_project.model.feed import Feed
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.response import ExtractStats
from dagster_project.model.vendor_store import VendorStore
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import WindowResult
from dagster_project.vendors.trust.client import TrustClient
from dagster_project.vendors.trust.feed import STATISTICS
from dagster_project.vendors.trust.rows import TABLE
from dagster_project.vendors.trust.settings import TrustSettings
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.range_proofs import RangeProofs
from dagster_project.warehouse.vendor_store import WarehouseStore
from tests.support.loading import load, replay
from tests.support.operating import KEY

TODAY = date(2024, 5, 15)
YESTERDAY = TODAY - timedelta(days=1)
BUSY, QUIET = 11, 13

Play = Callable[..., Any]


class House:
    """A played Trust and a warehouse, with the pipeline between them."""

    def __init__(self, played: Any, warehouse: Warehouse) -> None:
        self.played = played
        self.warehouse = warehouse
        self.proofs = RangeProofs(warehouse)
        self.settings = load_settings(played.sandbox.settings_env(), dotenv=None)

    def refresh(self, first: date, last: date | None = None, company: int = BUSY) -> WindowResult:
        with self.run() as run:
            return load(run, self.played.window(company, first, last))

    def replay(self, day: date, company: int = BUSY) -> WindowResult:
        account = self.played.window(company, day).account
        with self.run() as run:
            return replay(run, account, [day])

    def run(self) -> FeedRun:
        return FeedRun(self.feed(), self.settings, self.warehouse, KEY)

    def feed(self) -> Feed:
        """The feed as it is listed, but for the present, which is the sandbox's."""

        def client(section: TrustSettings, store: VendorStore) -> TrustClient:
            now = self.played.sandbox.world.clock.now
            return TrustClient(section, proofs=store.proofs, now=now)

        return replace(STATISTICS, open_client=client)

    def rows(self) -> list[dict[str, Any]]:
        """What stands, as the sandbox tells its truth."""
        names = list(next(iter(self.played.trust.truth({}))))
        frame = self.select(f"SELECT {', '.join(names)} FROM warehouse.{TABLE.name} ORDER BY 1, 2")
        return [
            {n: str(v) if isinstance(v, date) else v for n, v in zip(names, row, strict=True)}
            for row in frame
        ]

    def known_proofs(self) -> list[RangeProof]:
        section = STATISTICS.section(self.settings)
        return self.proofs.load("trust", section.base_url, ",".join(section.range_params))

    def select(self, query: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def house(rig: Play, warehouse: Warehouse) -> Callable[..., House]:
    return lambda **config: House(rig(**config), warehouse)


def written(outcome: WindowResult) -> int:
    assert not outcome.problems
    return sum(r.rows_inserted + r.rows_updated + r.rows_deleted for r in outcome.receipts)


@pytest.mark.both_servers
def test_a_server_that_honours_ranges_ends_with_its_true_days(house: Play) -> None:
    at = house()
    outcome = at.refresh(TODAY - timedelta(days=20), TODAY)
    assert written(outcome) == len(outcome.receipts) == 21
    window = at.played.window(BUSY, TODAY - timedelta(days=20), TODAY)
    assert at.rows() == at.played.truth(window)
    assert at.known_proofs()[0].state == "honoured"


def test_a_server_that_ignores_ranges_ends_with_todays_week_and_nothing_else(house: Play) -> None:
    at = house(range_mode="ignore")
    [problem] = at.refresh(YESTERDAY).problems
    assert isinstance(problem, VendorCannotAnswer)
    assert at.rows() == []
    assert written(at.refresh(TODAY)) == 1
    assert at.rows() == at.played.truth(at.played.window(BUSY, TODAY))
    assert not at.rows()[0]["is_daily"]


def test_quiet_companies_alone_end_with_rolling_rows(house: Play) -> None:
    at = house(quiet=[11, 12, 13])
    for company in (11, 12, 13):
        assert written(at.refresh(TODAY, company=company)) == 1
    assert at.rows() == list(at.played.trust.truth({}))
    assert [row["is_daily"] for row in at.rows()] == [False] * 3
    [proof] = at.known_proofs()
    assert proof.state == "unproven"
    assert "quiet" in proof.reason


def test_one_company_without_access_leaves_the_others_loaded(house: Play) -> None:
    at = house(denied={BUSY: 403})
    [problem] = at.refresh(YESTERDAY).problems
    assert isinstance(problem, AccessDenied)
    assert problem.account == str(BUSY)
    assert written(at.refresh(YESTERDAY, company=12)) == 1


@pytest.mark.parametrize("mode", ["honour", "ignore"])
def test_a_rerun_of_unchanged_figures_writes_no_row(house: Play, mode: str) -> None:
    at = house(range_mode=mode)
    assert written(at.refresh(TODAY)) == 1
    before = at.select(f"SELECT xmin::text, asked_at FROM warehouse.{TABLE.name}")
    assert written(at.refresh(TODAY)) == 0
    assert at.select(f"SELECT xmin::text, asked_at FROM warehouse.{TABLE.name}") == before


def test_figures_that_moved_are_taken_over_with_the_moment_of_asking(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    [(first_asked,)] = at.select(f"SELECT asked_at FROM warehouse.{TABLE.name}")
    at.played.sandbox.world.clock.shift(timedelta(days=5))
    [receipt] = at.refresh(YESTERDAY).receipts
    assert receipt.rows_updated == 1
    assert at.rows() == at.played.truth(at.played.window(BUSY, YESTERDAY))
    [(asked, loaded, changed)] = at.select(
        f"SELECT asked_at, first_loaded_at, changed_at FROM warehouse.{TABLE.name}"
    )
    assert asked > first_asked
    assert changed > loaded


def test_a_later_proof_changes_no_stored_row_but_lets_the_day_be_loaded_afresh(house: Play) -> None:
    at = house(range_mode="ignore")
    at.refresh(TODAY)
    at.played.trust.config.range_mode = "honour"
    at.played.sandbox.world.clock.shift(timedelta(days=1))
    rolling = at.rows()
    assert written(at.refresh(YESTERDAY)) == 1
    assert at.rows()[1] == rolling[0], "the week stands"
    assert written(at.replay(TODAY)) == 0
    assert written(at.refresh(TODAY)) == 1
    assert at.rows()[1] == at.played.truth(at.played.window(BUSY, TODAY))[0]


def test_a_replay_knows_what_an_answer_covers_without_asking_the_vendor(house: Play) -> None:
    at = house(range_mode="ignore")
    at.refresh(TODAY)
    rolling = at.rows()
    with at.warehouse.connect_admin() as connection:
        connection.execute(f"DELETE FROM warehouse.{TABLE.name}")
        connection.execute("DELETE FROM ops.range_proof")
    asked = at.played.requests
    at.replay(TODAY)
    assert at.rows() == rolling
    assert at.played.requests == asked


def test_the_extraction_notes_the_proof_that_it_went_by(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    [(notes, requests)] = at.select("SELECT notes, requests FROM ops.extraction")
    assert notes["range_proof"]["state"] == "honoured"
    assert requests == at.played.requests


def test_undocumented_keys_stand_in_extra(house: Play) -> None:
    at = house(unknown_statistics={"cost": 1.5, "odd": "\x00\ud800"})
    assert written(at.refresh(YESTERDAY)) == 1
    [(extra,)] = at.select(f"SELECT extra::text FROM warehouse.{TABLE.name}")
    assert extra == '{"cost": 1.5, "odd": "\\u0000\\ud800"}'


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("is_daily = true", "daily_means_one_day"),
        ("window_to = window_to + 1", "window_ends_on_its_day"),
        ("window_from = window_to", "daily_means_one_day"),
    ],
)
def test_no_week_can_be_filed_as_a_day(house: Play, change: str, constraint: str) -> None:
    at = house(range_mode="ignore")
    at.refresh(TODAY)
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        at.select(f"UPDATE warehouse.{TABLE.name} SET {change} RETURNING 1")


def proof(state: Any, asked_at: str, **changes: Any) -> RangeProof:
    at = datetime.fromisoformat(asked_at)
    made = RangeProof("trust", "https://h", "a,b", state, "7", at, "because", {"x": {"total": 1}})
    return replace(made, **changes)


def test_proofs_are_remembered_by_server_names_and_state(warehouse: Warehouse) -> None:
    store = RangeProofs(warehouse)
    ignored = proof("ignored", "2024-05-01T00:00:00+00:00")
    honoured = proof("honoured", "2024-05-02T00:00:00+00:00")
    for each in (honoured, ignored, proof("honoured", "2024-05-03T00:00:00+00:00", params="c,d")):
        store.save(each)
    assert store.load("trust", "https://h", "a,b") == [ignored, honoured]
    assert store.load("trust", "https://other", "a,b") == []
    assert len(store.load("trust", "https://h", "c,d")) == 1


def test_a_later_proof_takes_the_place_of_an_earlier_one_and_not_the_reverse(
    warehouse: Warehouse,
) -> None:
    store = RangeProofs(warehouse)
    later = proof("honoured", "2024-05-02T00:00:00+00:00", reason="later")
    for each in (proof("honoured", "2024-05-01T00:00:00+00:00"), later):
        store.save(each)
    store.save(proof("honoured", "2024-05-01T12:00:00+00:00"))
    assert store.load("trust", "https://h", "a,b") == [later]


def test_one_proof_in_the_warehouse_serves_the_next_process(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    asked = at.played.requests
    outcome = at.refresh(YESTERDAY, company=QUIET)
    assert at.played.requests - asked == outcome.stats.requests == 3, (
        "a token, the day long ago, and the day"
    )


def test_a_server_that_stops_honouring_ranges_between_two_runs_spoils_no_day(house: Play) -> None:
    at = house()
    days = (TODAY - timedelta(days=3), YESTERDAY)
    at.refresh(*days)
    stood = at.rows()
    at.played.trust.config.range_mode = "ignore"
    for company in (BUSY, 12):
        [problem] = at.refresh(*days, company=company).problems
        assert isinstance(problem, VendorCannotAnswer)
        assert "there are figures" in str(problem)
        assert "in doubt" in str(problem)
    assert at.rows() == stood
    assert {proof.state for proof in at.known_proofs()} == {"honoured", "ignored"}
    assert written(at.refresh(TODAY)) == 1
    assert [row["is_daily"] for row in at.rows()] == [True, True, True, False]


def test_a_server_that_honours_ranges_again_is_found_out_by_the_next_proof(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    at.played.trust.config.range_mode = "ignore"
    at.refresh(YESTERDAY)
    at.played.trust.config.range_mode = "honour"
    at.played.sandbox.world.clock.shift(timedelta(hours=21))
    assert written(at.refresh(YESTERDAY)) == 1
    assert at.rows() == at.played.truth(at.played.window(BUSY, YESTERDAY))


def test_a_run_asks_each_company_once_for_the_day_long_ago(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    before = at.played.requests
    windows = [
        at.played.window(company, day - timedelta(days=2), day)
        for day in (TODAY - timedelta(days=3 * n) for n in range(4))
        for company in (BUSY, 12)
    ]
    with (
        at.run() as run,
        ThreadPoolExecutor(8) as pool,
    ):
        outcomes = list(pool.map(partial(load, run), windows))
    assert all(not outcome.problems for outcome in outcomes)
    assert at.played.requests - before == 1 + 2 + 24, "a token, the confirmations, and the days"


def test_a_run_that_proves_ranges_itself_does_not_ask_that_company_again(house: Play) -> None:
    at = house()
    outcome = at.refresh(YESTERDAY)
    assert outcome.stats.requests == 1 + 4 + 1, "a token, the proof, and the day"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 403}, AccessDenied),
        ({"kind": "status", "status": 422}, RequestRefused),
        ({"kind": "not_json", "body": '{"code": 200}'}, AnswerNotTrusted),
        (
            {
                "kind": "not_json",
                "body": '{"code": 200, "resource": "Statistics", "message": "Ok",'
                ' "data": {"total": 0, "sended": null, "pending": 0, "fails": 0, "actions": {}}}',
            },
            AnswerNotTrusted,
        ),
    ],
)
def test_where_it_cannot_be_found_out_whether_ranges_are_honoured_no_day_is_filed(
    house: Play, fault: dict[str, Any], error: type[WarehouseError]
) -> None:
    at = house()
    at.refresh(YESTERDAY)
    stood = at.rows()
    match = {"account": str(BUSY)}
    at.played.sandbox.world.faults.add(fault.pop("kind"), match=match, **fault)
    [problem] = at.refresh(YESTERDAY - timedelta(days=1)).problems
    assert type(problem) is error
    assert at.rows() == stood
    at.played.sandbox.world.faults.clear()
    assert written(at.refresh(YESTERDAY - timedelta(days=1))) == 1


def test_a_nightly_run_finds_out_before_it_files_an_ended_day(house: Play) -> None:
    at = house()
    at.refresh(YESTERDAY)
    at.played.trust.config.range_mode = "ignore"
    feed, account = at.feed(), at.played.window(BUSY, TODAY).account
    assert feed.day_rule is not None
    client = feed.client(at.settings, WarehouseStore(at.warehouse))
    try:
        assert feed.day_rule.answerable(client, account, [YESTERDAY, TODAY], ExtractStats()) == [
            TODAY
        ]
    finally:
        client.close()
