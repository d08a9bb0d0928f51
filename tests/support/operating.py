"""A whole installation under a test: a warehouse, Dagster's instance, a played vendor, and receivers.

Grain: one ``House`` a test, in this process; its environment serves processes of its own as well.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import dagster as dg
import pytest
from aiosmtpd.controller import Controller

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.orchestration import alarm_rules
from dagster_project.orchestration.build import definitions_of
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.launch import launch
from dagster_project.pipeline import services
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.postgres_url import write_url

SITE = "40202"
NO_SITE = "40999"
"""The played vendor knows no such site: it refuses access."""
KEY = "a key of the tests, long enough"
ALLOWING_FOR_ITS_LATENESS = {"rate_window": 0.95}
"""Of a played vendor: it dates a request when its own loop gets to it, and 50 ms of its second are for
that. A 429 would be a call more where calls are counted."""


class House:
    """``refresh`` and ``replay`` are runs of Dagster in this process, as the command line makes them."""

    def __init__(self, warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
        self.warehouse = warehouse
        self.instance = instance

    @property
    def settings(self) -> Settings:
        return services.settings()

    @cached_property
    def definitions(self) -> dg.Definitions:
        return definitions_of(self.settings)

    def refresh(self, days: Sequence[date], source: str = "calltouch", **config: Any) -> bool:
        return self._run(days, source, ask=True, **config)

    def replay(self, days: Sequence[date], source: str = "calltouch", **config: Any) -> bool:
        return self._run(days, source, ask=False, **config)

    def _run(self, days: Sequence[date], source: str, *, ask: bool, **config: Any) -> bool:
        return launch(
            self.definitions,
            self.instance,
            feed_of(source),
            days,
            run_id=str(uuid4()),
            ask=ask,
            config=config,
        )

    def failure(self) -> str:
        """What the last run said of its failure."""
        run_id = self.instance.get_run_records(limit=1)[0].dagster_run.run_id
        lines = [entry.message for entry in self.instance.all_logs(run_id) if entry.level >= 40]
        with self.warehouse.connect() as connection:
            alarms = alarm_rules.alarms_of_run(self.instance, connection, run_id)
        return "\n".join([*lines, *(alarm.what for alarm in alarms)])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect_admin() as connection:
            return connection.execute(query.encode(), values).fetchall()


def feed_of(source: str) -> Feed:
    return next(feed for feed in FEEDS if feed.source == source)


def days_back(first: int, last: int = 1, source: str = "calltouch") -> list[date]:
    """Days counted back from today in the source's zone: 1 is yesterday. Ascending."""
    today = clock.today(feed_of(source).time_zone(services.settings()))
    return [today - timedelta(days=n) for n in range(first, last - 1, -1)]


def calltouch_alone(sandbox: Sandbox, **given: str) -> dict[str, str]:
    """Settings of the played Calltouch and of no other vendor, with one site."""
    settings = sandbox.settings_env()
    calltouch = {name: value for name, value in settings.items() if name.startswith("CALLTOUCH")}
    return {**calltouch, "CALLTOUCH_SITE_IDS": SITE, **given}


def environment(warehouse: Warehouse, home: Path, **given: str) -> dict[str, str]:
    """Settings that point processes at this warehouse, as an administrator would write them."""
    place = {name: warehouse.place[name] for name in ("host", "port")}
    url = write_url(
        "postgresql", place, warehouse.admin.user, warehouse.admin.secret, warehouse.database
    )
    return {
        "WAREHOUSE_URL": url,
        "WAREHOUSE_HOME": str(home),
        "WAREHOUSE_START_DATE": "2024-01-01",
        "PII_HASH_KEY": KEY,
        "DAGSTER_HOME": "",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        **given,
    }


@contextmanager
def operating(
    warehouse: Warehouse, home: Path, patch: pytest.MonkeyPatch, given: Mapping[str, str]
) -> Iterator[House]:
    """This process works on the warehouse with these settings."""
    for name, value in environment(warehouse, home, **given).items():
        if value:
            patch.setenv(name, value)
        else:
            patch.delenv(name, raising=False)
    patch.chdir(home)
    _forget()
    with opened_instance(services.settings(), warehouse) as instance:
        yield House(warehouse, instance)
    patch.undo()
    _forget()


def again(patch: pytest.MonkeyPatch, **given: str) -> None:
    """From now on with these settings instead."""
    for name, value in given.items():
        patch.setenv(name, value)
    _forget()


def _forget() -> None:
    services.settings.cache_clear()
    services.warehouse.cache_clear()


class WebhookReceiver:
    """Takes what is posted to it; answers with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.bodies.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook/sEcReT-t0ken"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _OnAFreePort(Controller):
    """Takes the port that it was given once it listens."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailReceiver:
    """A mail server on loopback; ``context`` lets it speak TLS after STARTTLS."""

    def __init__(self, **options: Any) -> None:
        self.letters: list[EmailMessage] = []
        receiver = self

        class Handler:
            async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
                self, server: Any, session: Any, envelope: Any
            ) -> str:
                letter = BytesParser(policy=default).parsebytes(envelope.content)
                receiver.letters.append(cast(EmailMessage, letter))
                return "250 taken"

        self._controller = _OnAFreePort(
            Handler(), hostname="127.0.0.1", port=0, ready_timeout=100, **options
        )
        self._controller.start()
        self.port = self._controller.port

    def close(self) -> None:
        self._controller.stop()
