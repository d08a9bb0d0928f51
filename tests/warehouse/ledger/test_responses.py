"""Stored responses come back byte for byte, of the last attempt, in order."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.extractions import begin_extraction
from dagster_project.warehouse.ledger.responses import ResponseWriter, read_digests, read_responses

DAY = date(2024, 5, 1)
WINDOW = Window(DAY, DAY, Account("calltouch", "101", ZoneInfo("Europe/Moscow")))
NOON = datetime(2024, 5, 2, 9, tzinfo=UTC)
ANSWER = Response(
    sequence=1,
    request={"method": "GET", "page": 1},
    asked_at=NOON,
    received_at=NOON,
    status=200,
    content_type="application/json",
    body='{"текст": "\\ud800"}'.encode() + bytes([0, 255]),
)


def test_the_last_attempts_answers_come_back_in_order_and_unchanged(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        extraction = begin_extraction(connection, WINDOW, "run")
        pages = [replace(ANSWER, sequence=n, body=ANSWER.body + bytes([n])) for n in (2, 1)]
        with ResponseWriter(connection, extraction.extraction_id) as writer:
            writer.store(1, ANSWER).result()
            for page in pages:
                writer.store(2, page).result()
        found = list(read_responses(connection, extraction.extraction_id))
    assert [one.sequence for one in found] == [1, 2]
    assert found == [pages[1], pages[0]]


def test_a_content_type_that_no_text_can_hold_costs_no_answer(warehouse: Warehouse) -> None:
    odd = replace(ANSWER, content_type="application/json;\x00" + "x" * 300)
    with warehouse.connect(autocommit=True) as connection:
        number = begin_extraction(connection, WINDOW, "run").extraction_id
        with ResponseWriter(connection, number) as writer:
            writer.store(1, odd).result()
        [found] = read_responses(connection, number)
    assert (found.body, found.content_type[:18]) == (ANSWER.body, "application/json;\u2400")


def test_chosen_answers_of_the_last_attempt_are_read_and_all_of_its_hashes(
    warehouse: Warehouse,
) -> None:
    with warehouse.connect(autocommit=True) as connection:
        number = begin_extraction(connection, WINDOW, "run").extraction_id
        pages = [replace(ANSWER, sequence=n, body=ANSWER.body + bytes([n])) for n in (1, 2, 3)]
        with ResponseWriter(connection, number) as writer:
            writer.store(1, replace(ANSWER, sequence=9)).result()
            told = {page.sequence: writer.store(2, page).result() for page in pages}
        assert [one.sequence for one in read_responses(connection, number, [3, 1])] == [1, 3]
        assert list(read_responses(connection, number, [])) == []
        found = read_digests(connection, number)
        assert found == told == {p.sequence: hashlib.sha256(p.body).digest() for p in pages}
        connection.execute("UPDATE raw.response SET redacted_at = now() WHERE sequence = 2")
        assert read_digests(connection, number) == {}, "not as they came"
