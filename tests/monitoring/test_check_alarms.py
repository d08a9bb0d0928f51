"""Alarms of what the ledger says: of whom, of which days, and the commands that mend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from dagster_project import clock
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import CheckOutcome
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.check_alarms import check_alarms, overdue_alarms
from dagster_project.monitoring.mending import Ledger
from dagster_project.monitoring.status import health
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import check_outcomes
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from tests.support.ledger import load_days
from tests.support.statements import counted_statements
from tests.support.trust_alone import COMPANY, learn, trust_settings

[FEED] = [feed for feed in FEEDS if feed.source == "trust"]


def yesterday() -> date:
    """When it is asked for: between the collection of all tests and this one there may be a midnight."""
    return clock.today(COMPANY.time_zone) - timedelta(days=1)


@pytest.fixture
def ledger(warehouse: Warehouse) -> Iterator[Ledger]:
    load_days(warehouse, "trust", COMPANY.label, yesterday())
    with warehouse.connect(autocommit=True) as connection:
        yield Ledger(trust_settings(), warehouse, connection)


def note(ledger: Ledger, outcome: CheckOutcome, account: str = COMPANY.label) -> None:
    check_outcomes.write_refused(ledger.connection, "trust", account, [yesterday()], outcome)


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
    assert f"--source trust --account {COMPANY.label} --from {yesterday()}" in line


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


def test_alarms_of_thirty_accounts_take_no_more_statements_than_those_of_three(
    warehouse: Warehouse,
) -> None:
    """Late ones, ones that were asked in vain only, and rejects that another version or this one loaded."""
    labels = [str(number) for number in range(101, 131)]
    late, in_vain = labels[::3], labels[1::3]
    learn(warehouse, "honoured")
    with warehouse.connect_admin() as connection:
        for number, label in enumerate(labels):
            if label not in in_vain:
                days = [yesterday() - timedelta(days=n) for n in (9, 8)]
                load_days(
                    warehouse, "trust", label, *days, *([] if label in late else [yesterday()])
                )
                outcomes = [days[0]]
                check_outcomes.write_refused(
                    connection, "trust", label, outcomes, rejected("no date")
                )
                if number % 2:
                    connection.execute(
                        "UPDATE ops.load_receipt SET code_version = %s WHERE account = %s",
                        (CODE_VERSION, label),
                    )
            elif number % 2:
                connection.execute(
                    "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome,"
                    " code_version, started_at) VALUES ('trust', %s, %s, %s, 'failed', 't',"
                    " now() - interval '3 days')",
                    (label, yesterday(), yesterday()),
                )
        connection.commit()

    def look(some: list[str]) -> tuple[list[Alarm], int]:
        with warehouse.connect(autocommit=True) as connection, counted_statements() as sent:
            ledger = Ledger(trust_settings(*some), warehouse, connection)
            found = [*check_alarms(ledger), *overdue_alarms(ledger)]
            health(ledger.settings, warehouse, connection)
        return found, len(sent)

    _, of_few = look(labels[:6])
    found, of_many = look(labels)
    assert of_many == of_few
    [rejects, overdue] = found
    for number, label in enumerate(labels):
        mine = f" --account {label} "
        if label not in in_vain:
            verb = "backfill" if number % 2 else "replay"
            [line] = [line for line in rejects.hint if mine in line]
            assert line.startswith(f"warehouse {verb} "), label
        is_overdue = label in late or (label in in_vain and number % 2 == 1)
        assert any(mine in line for line in overdue.hint) == is_overdue, label
    assert list(overdue.causes) == sorted({*late, *in_vain[::2]})
