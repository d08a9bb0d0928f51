"""Records that could not be loaded: each once, resolved when it does not come again."""

from __future__ import annotations

import json
from datetime import date
from zoneinfo import ZoneInfo

from dagster_project.model.batch import Reject
from dagster_project.model.receipt import Extraction
from dagster_project.model.window import Account, Window
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger.extractions import begin_extraction
from dagster_project.warehouse.ledger.rejects import new_rejects, redact_rejects, write_rejects

DAY = date(2024, 5, 1)
WINDOW = Window(DAY, DAY, Account("calltouch", "101", ZoneInfo("Europe/Moscow")))
BAD = Reject("unreadable dateSent", '{"dateSent": "x"}', DAY)
OTHER = Reject("unreadable dateSent", '{"dateSent": "y", "phoneNumber": "79261234567"}', DAY)


def begin(connection: Connection) -> Extraction:
    return begin_extraction(connection, WINDOW, None)


def stored(connection: Connection) -> list[tuple[str, int, bool]]:
    return connection.execute(
        "SELECT original, times_in_window, resolved_at IS NULL FROM ops.rejected_record"
        " ORDER BY original"
    ).fetchall()


def test_a_record_is_kept_once_however_often_it_comes(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        write_rejects(connection, begin(connection), [BAD, BAD, OTHER], [DAY])
        write_rejects(connection, begin(connection), [BAD, OTHER], [DAY])
        assert [(times, is_open) for _, times, is_open in stored(connection)] == [
            (1, True),
            (1, True),
        ]


def test_a_record_that_does_not_come_again_is_resolved(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        write_rejects(connection, begin(connection), [BAD, OTHER], [DAY])
        write_rejects(connection, begin(connection), [OTHER], [DAY])
        assert [is_open for _, _, is_open in stored(connection)] == [False, True]
        write_rejects(connection, begin(connection), [BAD, OTHER], [DAY])
        assert [is_open for _, _, is_open in stored(connection)] == [True, True]


def test_only_what_the_standing_load_did_not_meet_is_new(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        write_rejects(connection, begin(connection), [BAD], [DAY])
        found = new_rejects(connection, begin(connection), [BAD, OTHER], [DAY], {})
    assert found.dated[DAY] == {"unreadable dateSent": 1}
    assert found.describe(found.dated[DAY]) == "unreadable dateSent: 1"


def test_what_a_record_becomes_takes_its_place(warehouse: Warehouse) -> None:
    def without_phone(original: str) -> str | None:
        record = json.loads(original)
        if "phoneNumber" not in record:
            return None
        return json.dumps({**record, "phoneNumber": "(erased)"})

    with warehouse.connect(autocommit=True) as connection:
        write_rejects(connection, begin(connection), [BAD, OTHER], [DAY])
        assert redact_rejects(connection, "calltouch", without_phone) == 1
        assert redact_rejects(connection, "trust", without_phone) == 0
        originals = [original for original, _, _ in stored(connection)]
    assert len(originals) == 2
    assert "79261234567" not in "".join(originals)
