"""Alarms of what the ledger says: of whom, of which days, and the commands that mend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dagster_project import clock
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import CheckOutcome
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.check_alarms import check_alarms
from dagster_project.monitoring.mending import Ledger
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import check_outcomes
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from tests.support.ledger import load_days
from tests.support.trust_alone import COMPANY, trust_settings

[FEED] = [feed for feed in FEEDS if feed.source == "trust"]
DAY = clock.today(COMPANY.time_zone) - timedelta(days=1)


@pytest.fixture
def ledger(warehouse: Warehouse) -> Iterator[Ledger]:
    load_days(warehouse, "trust", COMPANY.label, DAY)
    with warehouse.connect(autocommit=True) as connection:
        yield Ledger(trust_settings(), warehouse, connection)


def note(ledger: Ledger, outcome: CheckOutcome, account: str = COMPANY.label) -> None:
    check_outcomes.write_refused(ledger.connection, "trust", account, [DAY], outcome)


def rejected(*reasons: str) -> CheckOutcome:
    return CheckOutcome("no_rejects", False, "warning", "3 records rejected", causes=reasons)


def of(found: list[Alarm]) -> dict[str, Alarm]:
    return {alarm.subject: alarm for alarm in found}


def test_an_alarm_names_no_account_that_is_not_configured(ledger: Ledger) -> None:
    note(ledger, CheckOutcome("readable", False, "error", "its pages contradict each other"))
    note(ledger, CheckOutcome("readable", False, "error", "they contradict, too"), "9999")
    [alarm] = check_alarms(ledger)
    assert list(alarm.accounts) == [COMPANY.label]
    [line] = alarm.hint
    assert line.startswith("warehouse ")
    assert f"--source trust --account {COMPANY.label} --from {DAY}" in line


def test_a_replay_of_rejects_is_offered_only_where_another_version_loaded_them(
    ledger: Ledger,
) -> None:
    note(ledger, rejected("no date"))
    [by_another] = check_alarms(ledger)
    assert by_another.hint[0].startswith("warehouse replay ")
    ledger.connection.execute("UPDATE ops.load_receipt SET code_version = %s", (CODE_VERSION,))
    [by_this] = check_alarms(ledger)
    assert all(line.startswith("warehouse backfill ") for line in by_this.hint)
    assert f"warehouse rejects --source trust --account {COMPANY.label}" in by_this.what
    assert list(by_this.causes) == ["no date"]


def test_unknown_values_offer_no_command_that_reads_them_no_better(ledger: Ledger) -> None:
    ledger.connection.execute("UPDATE ops.load_receipt SET code_version = %s", (CODE_VERSION,))
    unknown = CheckOutcome("known_values", False, "warning", "3", causes=("unknown_status x",))
    note(ledger, unknown)
    [alarm] = check_alarms(ledger)
    assert list(alarm.hint) == []


def test_one_cause_that_several_checks_tell_of_is_one_alarm(ledger: Ledger) -> None:
    note(ledger, rejected("outside the asked window"))
    note(ledger, CheckOutcome("dates_inside", False, "warning", "3 records"))
    assert list(of(check_alarms(ledger))) == ["check/trust/no_rejects/warning"]
    note(ledger, CheckOutcome("readable", False, "error", "nearly nothing could be read"))
    assert list(of(check_alarms(ledger))) == ["check/trust/readable/error"]
