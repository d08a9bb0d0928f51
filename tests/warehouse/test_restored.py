"""A restored dump is known as one: nobody loads it or reads it before the suppression list was applied."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.schema.migrate import migrate
from tests.support.erasing import command, forget
from tests.support.operating import House


def as_restored(house: House) -> None:
    """The mark as a restore leaves it: the same row, written by another transaction."""
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.suppression_applied SET applied_at = applied_at")


def reads_bi(house: House) -> bool:
    with house.warehouse.connect_admin() as connection:
        connection.execute("SET ROLE warehouse_bi")
        try:
            connection.execute("SELECT count(*) FROM bi.sms_day")
        except psycopg.errors.InsufficientPrivilege:
            return False
    return True


def test_a_restored_dump_is_not_loaded_and_not_read_before_the_list_was_applied(
    house: House, days: list[date]
) -> None:
    assert reads_bi(house)
    as_restored(house)
    day = days[0].isoformat()
    for words in (("backfill", "--from", day, "--to", day), ("rekey",)):
        with pytest.raises(SettingsError, match="restored dump") as raised:
            command(*words)
        assert raised.value.exit_status == 2
    assert not house.refresh(days)
    assert "restored dump" in house.failure()
    assert not reads_bi(house)
    assert "wrong privacy: this warehouse is a restored dump" in command("doctor").stdout
    forget("79210000001")
    assert not reads_bi(house), "one erasure does not stand for the whole list"
    assert command("forget", "--again").return_value == 0
    assert reads_bi(house)
    assert house.refresh(days), house.failure()


def test_a_migration_closes_a_restored_dump_and_leaves_any_other_alone(house: House) -> None:
    assert migrate(house.warehouse) == []
    assert reads_bi(house)
    as_restored(house)
    told: list[str] = []
    migrate(house.warehouse, told.append)
    assert not reads_bi(house)
    assert any("warehouse forget --import" in line for line in told)


def test_the_mark_holds_within_a_savepoint_and_through_vacuum_full(house: House) -> None:
    with house.warehouse.connect_admin(autocommit=False) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        with connection.transaction():
            connection.execute("SELECT ops.suppression_was_applied()")
        connection.commit()
    with house.warehouse.connect_admin() as connection:
        connection.execute("VACUUM FREEZE ops.suppression_applied")
        connection.execute("VACUUM FULL ops.suppression_applied")
        assert connection.execute("SELECT ops.is_restored()").fetchone() == (False,)


def test_the_doctor_notes_a_server_that_recovered_since(house: House) -> None:
    assert "recovered" not in command("doctor").stdout
    with house.warehouse.connect_admin(autocommit=False) as connection:
        connection.execute("SELECT ops.suppression_was_applied()")
        connection.execute("UPDATE ops.suppression_applied SET timeline = timeline + 1")
        connection.commit()
    said = command("doctor").stdout
    assert "note  privacy: the server recovered, or another one took over" in said
    assert "restored dump" not in said
