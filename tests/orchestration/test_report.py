"""A day whose new answer cannot be read: its old rows stand, loudly, until a person takes the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.cli.main import main
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, SITE, House, feed_of, operating

NOW = datetime.now(UTC)
"""Trust tells ranges of days near its present alone."""
DAYS = FIRST, SECOND = [NOW.date() - timedelta(days=n) for n in (11, 10)]
NEVER_LOADED = NOW.date() - timedelta(days=5)
START = str(FIRST - timedelta(days=10))


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(
        clock=NOW,
        calltouch=ALLOWING_FOR_ITS_LATENESS,
        trust={"companies": [11], "quiet": []},
        tellody={"first_purchase": START, "purchase_every_hours": 20},
    ) as sandbox:
        yield sandbox


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    vendors: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {**vendors.settings_env(), "CALLTOUCH_SITE_IDS": SITE}
    vendors.world.faults.clear()
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running
    vendors.world.faults.clear()


def change(
    vendors: Sandbox, vendor: str, name: str, how: str, *, nth: int = 1, **more: Any
) -> None:
    """From now on, or from its nth answer, the vendor answers with this field in another form."""
    vendors.world.faults.clear()
    match = {"vendor": vendor, "nth": nth, "path": "*/statistics" if vendor == "trust" else None}
    vendors.world.faults.add("field", times=None, match=match, name=name, how=how, **more)


def rows_of(house: House, source: str = "calltouch") -> list[str]:
    """The rows but for when they were written."""
    rows = house.rows(f"SELECT to_jsonb(t) FROM warehouse.{feed_of(source).table.name} t")
    times = {"first_loaded_at", "changed_at", "final_seen_at", "asked_at"}
    return sorted(str({k: v for k, v in row[0].items() if k not in times}) for row in rows)


def held(house: House) -> dict[date, list[str]]:
    return dict(house.rows("SELECT day, held_kinds FROM ops.day_state WHERE held IS NOT NULL"))


def checks(house: House, name: str) -> dict[str, tuple[bool, dict[str, Any]]]:
    """What the last run's checks of this name said, by day."""
    [run] = house.instance.get_runs(limit=1)
    logs = house.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    told = {}
    for entry in logs:
        assert entry.dagster_event is not None
        evaluation = entry.dagster_event.asset_check_evaluation_data
        if evaluation.check_name == name:
            metadata = {key: value.value for key, value in evaluation.metadata.items()}
            told[str(evaluation.partition)] = (evaluation.passed, metadata)
    return told


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def of_days(first: date, last: date, *more: str) -> list[str]:
    return ["--source", "calltouch", "--from", str(first), "--to", str(last), *more]


def test_a_day_that_can_no_longer_be_read_is_held(
    house: House, vendors: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert house.refresh(DAYS)
    before = rows_of(house)
    stand = house.rows("SELECT rows FROM ops.day_state WHERE day = %s", SECOND)[0][0]
    change(vendors, "calltouch", "dateSent", "reformed")
    for _ in range(2):  # a second try finds what the first one found
        assert command("backfill", *of_days(FIRST, SECOND)) == 1
        assert rows_of(house) == before
        assert held(house) == {day: ["rejects"] for day in DAYS}
    said = capsys.readouterr().out
    assert "NoLongerReadable" in said
    assert "dateSent" in said
    assert "as 99 aaa 9999, 99:99 instead of dd-mm-yyyy HH:MM:SS" in said
    take = f"warehouse backfill --source calltouch --account {SITE} --from {FIRST} --to {SECOND}"
    assert f"{take} --accept-rejects" in said
    told = checks(house, "not_shrunk")
    assert [passed for passed, _ in told.values()] == [False, False]
    assert (
        f"| rows | {stand} | 0 |" in told[str(SECOND)][1][f"what taking it changes, account {SITE}"]
    )

    assert command("held", "--json") == 0
    shown = {day["day"]: day for day in json.loads(capsys.readouterr().out)}
    assert shown[str(SECOND)]["accept_with"] == ["--accept-rejects"]
    figures = shown[str(SECOND)]["figures"]
    assert figures["rows"] == {"stands": stand, "held": 0}
    assert sum(f["stands"] for n, f in figures.items() if n.startswith("status ")) == stand
    assert command("replay", *of_days(FIRST, SECOND)) == 1
    assert rows_of(house) == before

    vendors.world.faults.clear()
    assert house.refresh([FIRST])
    assert held(house) == {SECOND: ["rejects"]}, "a good answer ends the hold"
    assert rows_of(house) == before

    assert command("replay", *of_days(SECOND, SECOND, "--accept-rejects")) == 0
    assert held(house) == {}
    assert house.rows("SELECT rows FROM ops.day_state WHERE day = %s", SECOND) == [(0,)]
    change(vendors, "calltouch", "dateSent", "reformed")
    assert house.refresh([SECOND]), "what the last load rejected is not new"
    vendors.world.faults.clear()
    assert house.refresh([SECOND])
    assert rows_of(house) == before
    assert house.rows("SELECT count(*) FROM ops.rejected_record WHERE resolved_at IS NULL") == [
        (0,)
    ]


def test_a_date_in_iso_8601_gives_the_same_rows_and_is_told(house: House, vendors: Sandbox) -> None:
    assert house.refresh(DAYS)
    before = rows_of(house)
    change(vendors, "calltouch", "dateSent", "iso")
    assert house.refresh(DAYS)
    assert rows_of(house) == before
    passed, told = checks(house, "known_values")[str(SECOND)]
    assert not passed
    assert list(told) == ["unknown_form:dateSent is ISO 8601"]


OTHERS = [
    ("tellody_activity", "tellody", "SMS_SENT", "retyped"),
    ("tellody_purchases", "tellody", "amount", "retyped"),
    ("trust", "trust", "sended", "reformed"),
]
CONFIRMING = {"trust": 1}
"""Calls with which a run first confirms that the server honours ranges."""


def test_the_old_rows_of_every_feed_stand_when_its_answer_changes_form(
    house: House, vendors: Sandbox
) -> None:
    for source, vendor, name, how in OTHERS:
        vendors.world.faults.clear()
        assert house.refresh(DAYS, source)
        before = rows_of(house, source)
        assert before
        change(vendors, vendor, name, how, nth=1 + CONFIRMING.get(source, 0))
        assert not house.refresh(DAYS, source)
        assert rows_of(house, source) == before
        said = house.failure()
        assert name in said
        assert "--accept-rejects" in said
        assert not all(passed for passed, _ in checks(house, "not_shrunk").values())
        vendors.world.faults.clear()
        assert house.refresh(DAYS, source)
        assert rows_of(house, source) == before


def test_an_answer_that_is_not_taken_at_all_fails_the_days_check(
    house: House, vendors: Sandbox
) -> None:
    assert house.refresh(DAYS)
    before = rows_of(house)
    change(vendors, "calltouch", "smsDetails", "renamed")
    assert not house.refresh(DAYS)
    assert rows_of(house) == before
    assert {day: passed for day, (passed, _) in checks(house, "readable").items()} == {
        str(day): False for day in DAYS
    }


def test_a_first_load_of_which_much_is_rejected_ends_with_1_and_loads_the_rest(
    house: House, vendors: Sandbox
) -> None:
    change(vendors, "calltouch", "dateSent", "reformed", every=4)
    assert not house.refresh([NEVER_LOADED])
    [(rows, rejected)] = house.rows(
        "SELECT s.rows, r.rows_rejected FROM ops.day_state s JOIN ops.load_receipt r USING (receipt_id)"
    )
    assert rows > rejected > 10
    passed, told = checks(house, "readable")[str(NEVER_LOADED)]
    assert not passed
    assert "unreadable dateSent" in told[f"account {SITE}"]
    assert "TooLittleRead" in house.failure()
    assert house.refresh([NEVER_LOADED]), "the same answer again is nothing new"
    vendors.world.faults.clear()
    assert house.refresh([NEVER_LOADED])
    assert house.rows("SELECT rows FROM ops.day_state") == [(rows + rejected,)]


def test_a_history_that_comes_back_empty_is_held(house: House, vendors: Sandbox) -> None:
    source = "tellody_purchases"
    assert house.refresh(DAYS, source)
    before = rows_of(house, source)
    assert len(before) > 5
    vendors.world.faults.add(
        "status",
        times=None,
        match={"vendor": "tellody", "path": "*PaymentHistory"},
        status=200,
        body=json.dumps({"extras": None, "data": [], "count": 0}),
        content_type="application/json",
    )
    assert not house.refresh(DAYS, source)
    assert rows_of(house, source) == before
    assert "--accept-shrink" in house.failure()
    assert house.refresh(DAYS, source, accept_shrink=True)
    assert rows_of(house, source) == []
