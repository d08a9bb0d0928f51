"""The list, its key, and the epochs by which loads learn of a change."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project import clock
from dagster_project.errors import SettingsError
from dagster_project.model.privacy import identity_of
from dagster_project.model.window import Account
from dagster_project.privacy import suppression
from dagster_project.privacy.erasure_receipts import open_receipt, unfinished
from dagster_project.warehouse.connection import Warehouse

SECRET, OTHER = "a key of the tests, long enough", "another key of the tests, long enough"
ACCOUNT = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
NUMBER = "+79261234567"


def test_the_key_is_made_once_and_read_under_its_secret_alone(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        master = suppression.master_key(connection, SECRET)
        assert suppression.master_key(connection, SECRET) == master
        assert len(master) == suppression.KEY_BYTES
        with pytest.raises(SettingsError, match="not the key that this warehouse was loaded with"):
            suppression.master_key(connection, OTHER)


def test_a_load_goes_by_the_list_as_it_stands(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        erasure = open_receipt(connection, 1, SECRET, "forget")
        suppression.suppress(connection, [identity_of(NUMBER)], SECRET, erasure)
        connection.commit()
        assert unfinished(connection)
    with (
        warehouse.connect(autocommit=True) as connection,
        suppression.hold_rules(connection, ACCOUNT, SECRET) as rules,
    ):
        assert rules.suppression.find_suppressed([NUMBER]) == {NUMBER}
        assert rules.reduced_before == date.min


def test_who_changes_the_rules_waits_for_loads_that_go_by_the_old_ones(
    warehouse: Warehouse,
) -> None:
    reports: list[str] = []
    with warehouse.connect(autocommit=True) as load, warehouse.connect(autocommit=True) as erasure:
        with suppression.hold_rules(load, ACCOUNT, SECRET):
            epoch = suppression.new_epoch(erasure)
            with pytest.raises(InterruptedError):
                suppression.wait_for_earlier_loads(erasure, epoch, interrupt_after(reports))
        suppression.wait_for_earlier_loads(erasure, epoch, reports.append)
        with suppression.hold_rules(load, ACCOUNT, SECRET):
            suppression.wait_for_earlier_loads(erasure, epoch, reports.append)
    assert reports == ["waiting for 1 other session that began before …"]


def interrupt_after(reports: list[str]):  # type: ignore[no-untyped-def]
    def report(line: str) -> None:
        reports.append(line)
        raise InterruptedError

    return report


def test_nothing_is_loaded_while_pseudonyms_are_computed_anew(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.pii_key (fingerprint, next_fingerprint) VALUES ('a', 'b')"
        )
        with pytest.raises(SettingsError, match="being recomputed"):
            suppression.refuse_while_rekeying(connection)


def test_a_day_is_reduced_when_it_is_older_than_the_limit() -> None:
    today = clock.today(ACCOUNT.time_zone)
    assert suppression.reduced_before(ACCOUNT, 365) == today - timedelta(days=365)
