"""The suppression list as a file: of this warehouse, unchanged, and telling nothing by itself."""

from __future__ import annotations

import json
import threading

import pytest

from dagster_project.errors import SettingsError
from dagster_project.model.privacy import identity_of
from dagster_project.privacy import suppression, suppression_file
from dagster_project.privacy.erasure import open_receipt
from dagster_project.warehouse.connection import Warehouse
from tests.warehouse.server.homes import wait_until

SECRET, OTHER = "a key of the tests, long enough", "another key of the tests, long enough"
NUMBER = "+79261234567"


def test_a_list_is_joined_to_one_that_has_nothing_and_once(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        erasure = open_receipt(connection, 1, SECRET, "forget")
        suppression.suppress(connection, [identity_of(NUMBER)], SECRET, erasure)
        text = suppression_file.export_list(connection, SECRET)
        assert "9261234567" not in text
        connection.execute("DELETE FROM ops.suppressed_number")
        connection.execute("UPDATE ops.privacy SET sealed_key = NULL")
        assert suppression_file.import_list(connection, text, SECRET, erasure) == 1
        assert suppression_file.import_list(connection, text, SECRET, erasure) == 0
        master = suppression.master_key(connection, SECRET)
        assert suppression.stored_list(connection, master).find_suppressed([NUMBER]) == {NUMBER}


def test_a_list_of_another_key_or_with_a_changed_byte_is_refused(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        erasure = open_receipt(connection, 1, SECRET, "forget")
        suppression.suppress(connection, [identity_of(NUMBER)], SECRET, erasure)
        file = json.loads(suppression_file.export_list(connection, SECRET))
        sealed = file["sealed_list"]
        changed = {
            **file,
            "sealed_list": sealed[:-9] + ("A" if sealed[-9] != "A" else "B") + sealed[-8:],
        }
        with pytest.raises(SettingsError, match="another warehouse's, or damaged"):
            suppression_file.import_list(connection, json.dumps(changed), SECRET, erasure)


def test_a_list_that_is_exported_during_an_erasure_has_its_people_or_not_its_number(
    warehouse: Warehouse,
) -> None:
    """A list with the number alone would open a restored copy in which those people still are."""
    exported: list[str] = []

    def export() -> None:
        with warehouse.connect() as connection:
            exported.append(suppression_file.export_list(connection, SECRET))

    with warehouse.connect_admin(autocommit=False) as erasure:
        master = suppression.master_key(erasure, SECRET)
        erasure.commit()
        suppression.begin_change(erasure)
        erasure.execute("LOCK TABLE ops.suppressed_recipient")
        exporting = threading.Thread(target=export)
        exporting.start()
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with warehouse.connect_admin() as watching:
            wait_until(lambda: watching.execute(waiting).fetchone() is not None)
        receipt = open_receipt(erasure, 1, SECRET, "forget")
        suppression.suppress(erasure, [identity_of(NUMBER)], SECRET, receipt)
        suppression.count_erasure(erasure)
        erasure.commit()
        exporting.join(timeout=60)
    content = suppression_file._read(exported[0]).content(master)
    assert len(content.numbers) == content.erasures == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "another"}'])
def test_another_file_is_no_list(warehouse: Warehouse, text: str) -> None:
    refused = pytest.raises(SettingsError, match="no suppression list")
    with warehouse.connect_admin() as connection, refused:
        suppression_file.import_list(connection, text, SECRET, 1)
