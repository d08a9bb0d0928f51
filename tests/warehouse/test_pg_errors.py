"""What an error of the database may tell: its kind and the names of things, never a row."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dagster_project.errors import (
    AnswerNotTrusted,
    DatabaseFailed,
    TryLater,
    WarehouseError,
)
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.pg_errors import safe_errors

PHONE = "79209383654"
TEXT = "Ваш код авторизации: 14111"
Connection = psycopg.Connection[Any]


@pytest.fixture
def sms(warehouse: Warehouse) -> Iterator[Connection]:
    """A connection to a table with one row of personal data in it."""
    with warehouse.connect_admin() as connection:
        connection.execute(
            "CREATE TABLE raw.sms (phone text CONSTRAINT sms_key PRIMARY KEY, body text NOT NULL,"
            " n integer CONSTRAINT positive CHECK (n > 0))"
        )
        connection.execute("INSERT INTO raw.sms VALUES (%s, %s, 1)", (PHONE, TEXT))
        yield connection


@pytest.mark.parametrize(
    ("statement", "parameters", "expected", "said"),
    [
        (
            "INSERT INTO raw.sms VALUES (%s, %s, 1)",
            (PHONE, TEXT),
            DatabaseFailed,
            "SQLSTATE 23505 unique_violation on raw.sms (constraint sms_key)",
        ),
        (
            "INSERT INTO raw.sms VALUES (%s || '1', %s, 0)",
            (PHONE, TEXT),
            DatabaseFailed,
            "SQLSTATE 23514 check_violation on raw.sms (constraint positive)",
        ),
        (
            "INSERT INTO raw.sms VALUES (%s || '1', NULL, 1)",
            (PHONE,),
            DatabaseFailed,
            "SQLSTATE 23502 not_null_violation on raw.sms (column body)",
        ),
        (
            "SELECT CAST(%s AS integer), %s",
            (TEXT, PHONE),
            DatabaseFailed,
            "SQLSTATE 22P02 invalid_text_representation",
        ),
        (
            "SELECT %s, wrong FROM raw.sms",
            (PHONE,),
            DatabaseFailed,
            'SQLSTATE 42703 undefined_column: column "wrong" does not exist',
        ),
        (
            "DO $$ BEGIN RAISE '79209383654' USING ERRCODE = '53100'; END $$",
            (),
            TryLater,
            "SQLSTATE 53100 disk_full",
        ),
        (
            "DO $$ BEGIN RAISE '79209383654' USING ERRCODE = '40001'; END $$",
            (),
            TryLater,
            "SQLSTATE 40001 serialization_failure",
        ),
        (
            "DO $$ BEGIN RAISE '79209383654' USING ERRCODE = '40P01'; END $$",
            (),
            TryLater,
            "SQLSTATE 40P01 deadlock_detected",
        ),
        (
            "DO $$ BEGIN RAISE '79209383654' USING ERRCODE = '08006'; END $$",
            (),
            TryLater,
            "SQLSTATE 08006 connection_failure",
        ),
        (
            "DO $$ BEGIN RAISE '79209383654' USING ERRCODE = 'W0001'; END $$",
            (),
            DatabaseFailed,
            "SQLSTATE W0001 error",
        ),
        (
            "SELECT pg_terminate_backend(pg_backend_pid()), %s",
            (PHONE,),
            TryLater,
            "SQLSTATE 57P01 admin_shutdown",
        ),
    ],
)
def test_an_error_tells_its_kind_and_never_a_row(
    sms: Connection,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    parameters: tuple[str, ...],
    expected: type[WarehouseError],
    said: str,
) -> None:
    with pytest.raises(expected) as caught, safe_errors("loading calltouch_sms"):
        sms.execute(statement.encode(), parameters)

    assert f"loading calltouch_sms: {said}" in str(caught.value)
    assert type(caught.value) is expected
    _assert_nothing_shows(caught.value, caplog)


def test_a_copy_that_fails_does_not_show_its_line(
    sms: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        pytest.raises(DatabaseFailed) as caught,
        safe_errors(),
        sms.cursor().copy("COPY raw.sms FROM STDIN") as copy,
    ):
        copy.write(f"{PHONE}\t{TEXT}\tnot a number\n")

    assert "SQLSTATE 22P02" in str(caught.value)
    _assert_nothing_shows(caught.value, caplog)


def test_an_error_through_sqlalchemy_shows_no_parameter(
    sms: Connection, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    sms.execute("GRANT ALL ON raw.sms TO warehouse_loader")
    insert = text("INSERT INTO raw.sms VALUES (:phone, :body, 1)")

    with (
        pytest.raises(DatabaseFailed) as caught,
        safe_errors("reading"),
        warehouse.engine().begin() as connection,
    ):
        connection.execute(insert, {"phone": PHONE, "body": TEXT})

    assert "23505 unique_violation on raw.sms" in str(caught.value)
    _assert_nothing_shows(caught.value, caplog)


def test_an_error_of_ours_raised_from_the_drivers_shows_nothing_either(
    sms: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    @safe_errors()
    def load() -> None:
        try:
            sms.execute("INSERT INTO raw.sms VALUES (%s, %s, 1)", (PHONE, TEXT))
        except psycopg.Error as error:
            raise AnswerNotTrusted("the page contradicts the table") from error

    with pytest.raises(AnswerNotTrusted) as caught:
        load()

    _assert_nothing_shows(caught.value, caplog)


def test_an_error_while_another_is_handled_shows_neither(
    sms: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    @safe_errors()
    def load() -> None:
        try:
            sms.execute("INSERT INTO raw.sms VALUES (%s, %s, 1)", (PHONE, TEXT))
        except psycopg.Error:
            sms.execute("SELECT CAST(%s AS integer)", (TEXT,))

    with pytest.raises(DatabaseFailed) as caught:
        load()

    assert "22P02" in str(caught.value)
    _assert_nothing_shows(caught.value, caplog)


def test_errors_that_are_not_the_databases_pass_as_they_are() -> None:
    mistake = ValueError("a mistake of ours")
    with pytest.raises(ValueError, match="a mistake of ours") as caught, safe_errors():
        raise mistake
    assert caught.value is mistake


def _assert_nothing_shows(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").error("failed", exc_info=error)
    shown = [
        str(error),
        repr(error),
        "".join(traceback.format_exception(error)),
        caplog.text,
        pickle.dumps(error.__dict__).decode("latin-1"),
        *(_everything_of(one) for one in _chain(error)),
    ]
    for text_shown in shown:
        assert PHONE not in text_shown
        assert "14111" not in text_shown


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that Python keeps reachable from it, also what it would not print."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "orig", None)]
            yield one


def _everything_of(error: BaseException) -> str:
    diagnosis = getattr(error, "diag", None)
    details = [
        getattr(diagnosis, name)
        for name in ("message_primary", "message_detail", "message_hint", "context")
        if diagnosis is not None
    ]
    return f"{error!s} {error!r} {error.args!r} {error.__dict__!r} {details!r}"
