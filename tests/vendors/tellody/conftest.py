"""Clients of a played Tellody, answers made by hand, and loads of either into real Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import monotonic, sleep
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from dagster_project.config.settings import load_settings
from dagster_project.model import receipt
from dagster_project.model.batch import Batch
from dagster_project.model.response import ExtractStats, Response
from dagster_project.model.table import Table
from dagster_project.model.window import Account, Window
from dagster_project.sandbox.clock import parse_instant
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.sandbox.tellody.vendor import Config, Tellody
from dagster_project.transport.session import RetryPolicy, Session
from dagster_project.vendors.tellody.client import ActivityClient, PurchasesClient
from dagster_project.vendors.tellody.settings import TellodySettings
from dagster_project.vendors.tellody.sign_in import TellodySession
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import extractions
from dagster_project.warehouse.load.partitions import PartitionManager
from dagster_project.warehouse.load.window_load import WindowLoad

ATHENS = ZoneInfo("Europe/Athens")
NOW = "2024-05-15T12:00:00+03:00"
AT = datetime(2024, 5, 15, 9, tzinfo=UTC)


def account(source: str = "tellody_purchases", zone: ZoneInfo = ATHENS) -> Account:
    return Account(source, "main", zone)


def window(first: date, last: date | None = None, **of_account: Any) -> Window:
    return Window(first, last or first, account(**of_account))


EVER = window(date(1, 1, 3), date(9999, 12, 29))


def answer(body: bytes | str, sequence: int = 1, **request: Any) -> Response:
    body = body.encode() if isinstance(body, str) else body
    return Response(sequence, request, AT, AT, 200, "application/json", body)


def purchase(**fields: str) -> str:
    """A record of PaymentHistory; ``fields`` are JSON texts that replace or join the usual ones."""
    usual = {
        "amount": "4.9",
        "months": "null",
        "paymentMethod": '"Paypal"',
        "cardLastDigits": "null",
        "accountType": "null",
        "invoiceHistory": "null",
        "paymentId": "12",
        "date": "1437556984000",
        "credits": "100.0",
    }
    members = usual | fields
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def page(*records: str, count: int | None = None, **request: Any) -> Response:
    total = len(records) if count is None else count
    return answer(f'{{"extras":null,"data":[{",".join(records)}],"count":{total}}}', **request)


@dataclass
class Rig:
    """A played Tellody; clients that do not wait between retries, with sessions of their own."""

    sandbox: Sandbox
    stack: ExitStack

    @property
    def tellody(self) -> Tellody:
        vendor: Tellody = self.sandbox.world.tellody
        return vendor

    def settings(self, **env: str) -> TellodySettings:
        settings = load_settings({**self.sandbox.settings_env(), **env}, dotenv=None).section(
            TellodySettings
        )
        assert settings is not None
        return settings

    def session(self, attempts: int = 4, **env: str) -> TellodySession:
        settings = self.settings(**env)
        http = Session(
            retry=RetryPolicy(attempts=attempts),
            pause=lambda seconds, stop: None,
            keeps_cookies=True,
        )
        session = TellodySession(settings.base_url, settings.username, settings.password, http)
        self.stack.callback(session.close)
        return session

    def activity(self, session: TellodySession | None = None) -> ActivityClient:
        return ActivityClient(self.settings(), session or self.session())

    def purchases(self, session: TellodySession | None = None) -> PurchasesClient:
        return PurchasesClient(self.settings(), session or self.session())

    def window(
        self, first: date, last: date | None = None, source: str = "tellody_activity"
    ) -> Window:
        return Window(first, last or first, account(source, self.settings().time_zone))

    def fault(self, kind: str, path: str = "*", **rest: Any) -> Any:
        match = {"vendor": "tellody", "path": path, **rest.pop("match", {})}
        return self.sandbox.world.faults.add(kind, match=match, **rest)

    def calls(self, path: str) -> int:
        """How often a path was asked. A call is listed a moment after its answer has left."""
        stats = self.sandbox.world.stats
        until = monotonic() + 60
        while len(calls := stats.calls("tellody")) < stats.requests("tellody"):
            assert monotonic() < until, "a call was never answered"
            sleep(0.001)
        return sum(call["path"].endswith(path) for call in calls)

    @property
    def sign_ins(self) -> int:
        return int(self.tellody.describe_state()["signed_in"])


@pytest.fixture(scope="session")
def _standing_tellody() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def rig(_standing_tellody: Sandbox) -> Iterator[Callable[..., Rig]]:
    """``rig(per_page_cap=100)`` plays a Tellody that differs so from the default one, made new."""
    with ExitStack() as stack:

        def start(clock: str = NOW, **config: Any) -> Rig:
            world = _standing_tellody.world
            world.clock.set(parse_instant(clock), running=False)
            _standing_tellody.begin_anew()
            world.tellody.start_anew(Config(**config))
            return Rig(_standing_tellody, stack)

        yield start


ToBatch = Callable[[Response, Window], Batch]


@dataclass
class Loader:
    """Loads answers into real Postgres as the pipeline does, and reads tables back as text."""

    warehouse: Warehouse

    def load(
        self,
        table: Table,
        to_batch: ToBatch,
        answers: Sequence[Response],
        window: Window,
        wanted: Sequence[date] | None = None,
    ) -> list[receipt.Receipt]:
        months = PartitionManager(self.warehouse)
        with (
            self.warehouse.connect(autocommit=True) as books,
            self.warehouse.connect() as connection,
        ):
            extraction = extractions.begin_extraction(books, window, None)
            work = WindowLoad(
                connection,
                table,
                window,
                extraction,
                ensure_month=months.ensure,
                wanted_days=wanted,
                lock_whole=not table.identity_has_day,
            )
            work.begin()
            for each in answers:
                work.add(to_batch(each, window))
            receipts = work.finish()
            connection.commit()
            extractions.end_extraction(books, extraction, ExtractStats(), "complete")
        months.close()
        return receipts

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(query, values or None).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def loader(warehouse: Warehouse) -> Loader:
    return Loader(warehouse)


def secrets_of(settings: TellodySettings) -> list[str]:
    given: list[SecretStr] = [settings.username, settings.password]
    return [secret.get_secret_value() for secret in given]
