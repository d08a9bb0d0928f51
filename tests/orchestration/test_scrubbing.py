"""What Dagster keeps of a load that Postgres refused: the kind of the error, never the row it quotes.

Real runs, over HTTP, into a real server: constraints and triggers that the test adds make Postgres
quote numbers, texts and documents. Afterwards everything that was written anywhere is read: all tables
of Dagster's database, the ledger, logs, the output of a process, the server's own log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from psycopg import sql

from dagster_project.orchestration import alarm_rules
from dagster_project.orchestration.retention import retention_job
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.support.operating import KEY, SITE, House, again, operating

DAY, LOADED = date(2024, 5, 10), date(2024, 5, 11)
PHONE = "79207654321"
WORD = "Zwiebelfisch"
TEXT = f"Здравствуйте, ваш заказ собран. {WORD}"
MARKS = (PHONE, PHONE[1:], WORD)
LEGITIMATE = {"rejected_record"}
"""Keeps what could not be loaded, for those who may read it."""

SMS = "warehouse.calltouch_sms"
FUNCTION = (
    "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " {body} RETURN NEW; END $$"
)


def check(table: str, condition: str) -> list[str]:
    return [f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK ({condition})"]


def trigger(body: str, event: str = "INSERT") -> list[str]:
    return [
        FUNCTION.format(body=body),
        f"CREATE TRIGGER refuse BEFORE {event} ON {SMS} FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    ]


UNDO = [
    "DROP INDEX IF EXISTS warehouse.calltouch_sms_refused",
    f"DROP TRIGGER IF EXISTS refuse ON {SMS}",
    *(
        f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS refused"
        for table in (SMS, "mart.template", "ops.rejected_record")
    ),
]
REFUSALS: dict[str, tuple[list[str], str]] = {
    "check": (
        check(SMS, f"phone <> '{PHONE}'"),
        "SQLSTATE 23514 check_violation on warehouse.calltouch_sms",
    ),
    "not null": (
        trigger(f"IF NEW.phone = '{PHONE}' THEN NEW.outcome := NULL; END IF;"),
        "SQLSTATE 23502 not_null_violation on warehouse.calltouch_sms",
    ),
    "unique": (
        [f"CREATE UNIQUE INDEX calltouch_sms_refused ON {SMS} (sent_on, phone)"],
        "SQLSTATE 23505 unique_violation on warehouse.calltouch_sms",
    ),
    "a value in the message": (
        trigger(f"IF NEW.phone = '{PHONE}' THEN PERFORM NEW.message::integer; END IF;"),
        "SQLSTATE 22P02 invalid_text_representation",
    ),
    "raised with the row in it": (
        trigger("RAISE 'row %', NEW USING DETAIL = NEW.message, HINT = NEW.phone;"),
        "SQLSTATE P0001 raise_exception",
    ),
    "a template": (
        check("mart.template", f"label NOT LIKE '%{WORD}%'"),
        "SQLSTATE 23514 check_violation on mart.template (constraint refused)",
    ),
    "a rejected record": (
        check("ops.rejected_record", f"original NOT LIKE '%{WORD}%'"),
        "SQLSTATE 23514 check_violation on ops.rejected_record (constraint refused)",
    ),
}


BY_COMMAND_TOO = ("check", "raised with the row in it")
COMMAND = ("backfill", "--source", "calltouch", "--from", str(DAY), "--to", str(DAY))


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-05-20T12:00:00+03:00") as sandbox:
        for day in (DAY, LOADED):
            rows = [_sms(day, PHONE, second) for second in range(2)]
            rows += [_sms(day, f"7921000{n:04}", 100 + n) for n in range(25)]
            rows.append({**_sms(day, PHONE, 3), "smsStatus": [WORD, PHONE]})
            sandbox.world.calltouch.replace_day(int(SITE), day, rows)
        yield sandbox


def _sms(day: date, phone: str, second: int) -> dict[str, Any]:
    return {
        "phoneNumber": phone,
        "dateSent": f"{day:%d-%m-%Y} 09:{second // 60:02}:{second % 60:02}",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": TEXT,
    }


@pytest.fixture(scope="module")
def house(
    server: PostgresServer, vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    home = tmp_path_factory.mktemp("home")
    given = {**vendors.settings_env(), "CALLTOUCH_SITE_IDS": SITE, "PII_RETENTION_DAYS": "9999"}
    with (
        pytest.MonkeyPatch.context() as patch,
        operating(warehouse, home, patch, given) as running,
    ):
        yield running
    server.drop(warehouse)


@contextmanager
def refusing(house: House, statements: list[str]) -> Iterator[None]:
    with house.warehouse.connect_admin() as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield
        for statement in UNDO:
            connection.execute(statement.encode())


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_row_that_postgres_quotes_is_nowhere_to_be_read(
    house: House,
    server: PostgresServer,
    vendors: Sandbox,
    kind: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    statements, expected = REFUSALS[kind]
    with refusing(house, statements):
        assert not house.refresh([DAY])
        said = process(*COMMAND) if kind in BY_COMMAND_TOO else expected
    assert expected in said
    assert expected in house.failure()
    assert house.rows(f"SELECT count(*) FROM {SMS} WHERE sent_on = %s", DAY) == [(0,)]
    told = {"the process": said, **written(caplog, capfd), **kept(house, server)}
    assert expected in told["dagster event_logs"], "the kind is kept"
    assert_silent(told, secrets_of(house, vendors))


def test_a_reduction_that_postgres_refuses_tells_no_row_either(
    house: House,
    server: PostgresServer,
    vendors: Sandbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert house.refresh([LOADED])
    again(monkeypatch, PII_RETENTION_DAYS="1")
    with refusing(house, trigger("RAISE 'row %', OLD;", "UPDATE OR DELETE")):
        reduction = retention_job.execute_in_process(instance=house.instance, raise_on_error=False)
    assert not reduction.success
    told = {**written(caplog, capfd), **kept(house, server)}
    assert (
        "keeping what is to be kept: SQLSTATE P0001 raise_exception" in told["dagster event_logs"]
    )
    assert_silent(told, secrets_of(house, vendors))


def test_an_error_of_the_code_that_quotes_a_row_is_told_by_kind_and_place(
    house: House,
    server: PostgresServer,
    vendors: Sandbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect in whatever brings marts up to date, and one in a reduction."""

    def fail(*_: Any, **__: Any) -> None:
        raise KeyError(f"{PHONE} {TEXT}")

    monkeypatch.setattr("dagster_project.warehouse.marts.after_load", fail)
    monkeypatch.setattr("dagster_project.orchestration.retention.reduce_old", fail)
    assert not house.refresh([DAY])
    assert "unexpected KeyError at " in house.failure()
    reduction = retention_job.execute_in_process(instance=house.instance, raise_on_error=False)
    assert not reduction.success
    told = {**written(caplog, capfd), **kept(house, server)}
    assert told["dagster event_logs"].count("unexpected KeyError at ") >= 2
    assert_silent(told, secrets_of(house, vendors))


def test_what_is_looked_for_is_found_where_it_is(house: House, server: PostgresServer) -> None:
    """The search itself: a number in Dagster's events, in the ledger and in a log does not escape it."""
    mark = "4915112345678"
    assert house.instance.get_runs(), "runs of the tests before"
    [run, *_] = house.instance.get_runs(limit=1)
    house.instance.report_engine_event(f"a number: {mark}", run)
    log = server.server.home / "data" / "log" / "of-a-test.log"
    log.write_text(mark)
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.extraction SET failure = %s", (mark,))
    found = {name for name, text in kept(house, server).items() if mark in text}
    log.unlink()
    assert found == {"dagster event_logs", "ops extraction", str(log)}


def written(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What this process has said since the test began."""
    out, err = capfd.readouterr()
    return {"the log": caplog.text, "standard output": out, "standard error": err}


def process(*arguments: str) -> str:
    """All that a command writes, run as a process of its own; it fails."""
    command = [
        sys.executable,
        "-c",
        "from dagster_project.cli.main import main; main()",
        *arguments,
    ]
    done = subprocess.run(
        command, env=os.environ.copy(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def secrets_of(house: House, vendors: Sandbox) -> list[str]:
    password = house.warehouse.admin.secret
    assert password
    return [KEY, vendors.world.calltouch.config.token, password]


def kept(house: House, server: PostgresServer) -> dict[str, str]:
    """All text that is kept anywhere: Dagster's database and home, the ledger, the server's log."""
    found = {
        f"dagster {table}": text
        for table, text in tables(house.warehouse, house.warehouse.dagster_database, "public")
    }
    found |= {
        f"ops {table}": text
        for table, text in tables(house.warehouse, house.warehouse.database, "ops")
        if table not in LEGITIMATE
    }
    for folder in (house.settings.home, server.server.home / "data" / "log"):
        for path in folder.rglob("*"):
            if path.is_file():
                found[str(path)] = path.read_text(errors="replace")
    with house.warehouse.connect() as connection:
        for run in house.instance.get_runs(limit=20):
            found[f"tags of {run.run_id}"] = json.dumps(run.tags, ensure_ascii=False)
            raised = alarm_rules.alarms_of_run(house.instance, connection, run.run_id)
            found[f"alarms of {run.run_id}"] = repr(raised)
    return found


def tables(warehouse: Warehouse, database: str, schema: str) -> Iterator[tuple[str, str]]:
    """Every table's rows as text; what is compressed is read."""
    with warehouse.connect_admin(database=database) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
        ).fetchall()
        for (name,) in names:
            table = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))
            rows = connection.execute(table).fetchall()
            yield name, "\n".join(" ".join(map(_readable, row)) for row in rows)


def _readable(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        try:
            return zlib.decompress(data).decode(errors="replace")
        except zlib.error:
            return data.decode("latin-1")
    return str(value)


def assert_silent(told: dict[str, str], secrets: list[str]) -> None:
    assert len(told["dagster event_logs"]) > 1000, "something was kept"
    for place, text in told.items():
        for mark in (*MARKS, *secrets):
            assert mark not in text, f"{place} tells {mark!r}"
