"""Events are read each once, whatever order they are committed in."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.events import JobFailureData
from dagster._core.storage.event_log import EventLogStorage

from dagster_project.orchestration import event_cursor
from dagster_project.orchestration.event_cursor import EventCursor, complete_up_to, unread_events
from tests.support.operating import House

FAILURE = dg.DagsterEventType.RUN_FAILURE
_INSERT = (
    "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp)"
    " SELECT 'late', replace(event, '\"first\"', '\"late\"'), dagster_event_type, timestamp"
    " FROM event_logs WHERE run_id = %s"
)


@pytest.fixture
def storage(house: House, monkeypatch: pytest.MonkeyPatch) -> EventLogStorage:
    monkeypatch.setattr(event_cursor, "PATIENCE_SECONDS", 0.0)
    return house.instance.event_log_storage


def fail(storage: EventLogStorage, *run_ids: str) -> None:
    for run_id in run_ids:
        event = dg.DagsterEvent(
            FAILURE.value, job_name="load", event_specific_data=JobFailureData(None)
        )
        entry = dg.EventLogEntry(
            error_info=None,
            level=40,
            user_message="",
            run_id=run_id,
            timestamp=1_700_000_000.0,
            dagster_event=event,
        )
        storage.store_event(entry)


def read(
    storage: EventLogStorage, cursor: EventCursor, at_once: int = 100
) -> tuple[list[str], EventCursor]:
    """Ids of the runs whose failures were not read yet, and the cursor after that."""
    runs = []
    for records, moved in unread_events(storage, FAILURE, cursor, since=0.0, at_once=at_once):
        runs += [record.run_id for record in records]
        cursor = EventCursor.parse(str(moved))
    return runs, cursor


@pytest.mark.parametrize(
    "cursor",
    [
        EventCursor(),
        EventCursor(7),
        EventCursor(7, frozenset({9, 12})),
        EventCursor(None, frozenset({3})),
    ],
)
def test_a_cursor_is_read_as_it_was_written(cursor: EventCursor) -> None:
    assert EventCursor.parse(str(cursor)) == cursor


def test_a_cursor_of_an_earlier_version_is_gone_on_from() -> None:
    assert EventCursor.parse("4711") == EventCursor(4711)
    assert EventCursor.parse(None) == EventCursor()


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize("commits", [True, False])
def test_an_older_event_that_is_committed_late_is_read_and_none_twice(
    house: House, storage: EventLogStorage, at_once: int, commits: bool
) -> None:
    fail(storage, "first")
    runs, cursor = read(storage, EventCursor(), at_once)
    assert (runs, cursor.beyond) == (["first"], frozenset())

    with house.warehouse.storage.connect() as writer:
        writer.execute("BEGIN")
        writer.execute(_INSERT, ("first",))
        fail(storage, "second", "third")
        runs, waiting = read(storage, cursor, at_once)
        assert runs == ["second", "third"]
        assert waiting.complete == cursor.complete
        fail(storage, "fourth")
        runs, waiting = read(storage, waiting, at_once)
        assert runs == ["fourth"]
        writer.execute("COMMIT" if commits else "ROLLBACK")

    runs, cursor = read(storage, waiting, at_once)
    assert runs == (["late"] if commits else [])
    assert (cursor.complete, cursor.beyond) == (complete_up_to(storage), frozenset())
    assert read(storage, cursor, at_once) == ([], cursor)


def test_a_writer_that_has_a_number_and_no_transaction_id_yet_is_waited_for(
    house: House, storage: EventLogStorage
) -> None:
    """It is stopped between taking its number and writing its row."""
    fail(storage, "first")
    with house.warehouse.storage.connect() as writer:
        writer.execute("BEGIN")
        writer.execute(_INSERT, ("nobody",))
        writer.execute("SELECT nextval('event_logs_id_seq')")
        fail(storage, "second")
        assert complete_up_to(storage) is None
    assert complete_up_to(storage) is not None


def test_who_only_reads_is_not_waited_for(house: House, storage: EventLogStorage) -> None:
    fail(storage, "first")
    with house.warehouse.storage.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event_logs")
        assert complete_up_to(storage) is not None
        reader.execute("ROLLBACK")


def test_a_storage_that_is_not_ours_is_read_as_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        storage = instance.event_log_storage
        fail(storage, "first", "second")
        runs, cursor = read(storage, EventCursor())
        assert (runs, cursor.beyond) == (["first", "second"], frozenset())
        fail(storage, "third")
        assert read(storage, cursor)[0] == ["third"]
