"""A Trust client against the played vendor: no proof known, no waiting between retries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.config.settings import load_settings
from dagster_project.model.batch import Batch
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.sandbox.clock import parse_instant
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.sandbox.trust.vendor import Config
from dagster_project.transport.session import RetryPolicy, Session
from dagster_project.vendors.trust import token
from dagster_project.vendors.trust.client import TrustClient
from dagster_project.vendors.trust.rows import TABLE, to_batch
from dagster_project.vendors.trust.settings import TrustSettings

NOW = "2024-05-15T12:00:00-04:00"
TODAY = date(2024, 5, 15)
SAMPLES = Path(__file__).parents[2] / "data"


class Proofs:
    """A store that forgets with the test."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str, str], RangeProof] = {}

    def load(self, source: str, server: str, params: str) -> list[RangeProof]:
        return [proof for key, proof in self.known.items() if key[:3] == (source, server, params)]

    def save(self, proof: RangeProof) -> None:
        self.known[proof.source, proof.server, proof.params, proof.state] = proof

    @property
    def states(self) -> list[str]:
        return sorted(proof.state for proof in self.known.values())


class Rig:
    """A played Trust, and clients of it whose present is the vendor's."""

    def __init__(self, sandbox: Sandbox, proofs: Proofs, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self.trust = sandbox.world.trust
        self.proofs = proofs
        self._stack = stack

    def settings(self, **env: str) -> TrustSettings:
        settings = load_settings({**self.sandbox.settings_env(), **env}, dotenv=None).section(
            TrustSettings
        )
        assert settings is not None
        return settings

    def client(self, settings: TrustSettings | None = None, attempts: int = 3) -> TrustClient:
        session = Session(retry=RetryPolicy(attempts=attempts), pause=lambda seconds, stop: None)
        client = TrustClient(
            settings or self.settings(),
            proofs=self.proofs,
            session=session,
            now=self.sandbox.world.clock.now,
        )
        self._stack.callback(client.close)
        return client

    def window(self, company: int, first: date, last: date | None = None) -> Window:
        account = Account("trust", str(company), self.settings().time_zone)
        return Window(first, last or first, account)

    def rows(
        self, client: TrustClient, window: Window, stats: ExtractStats | None = None
    ) -> list[dict[str, Any]]:
        """The window's rows as the sandbox tells its truth."""
        rows = []
        for answer in client.extract(window, stats or ExtractStats()):
            rows.append(row_of(to_batch(answer, window)))
        return rows

    def truth(self, window: Window) -> list[dict[str, Any]]:
        return list(
            self.trust.truth(
                {
                    "company": window.account.label,
                    "first": str(window.first_day),
                    "last": str(window.last_day),
                }
            )
        )

    @property
    def requests(self) -> int:
        return self.sandbox.world.stats.requests("trust")

    @property
    def tokens_granted(self) -> int:
        return int(self.trust.describe_state()["tokens_granted"])


@pytest.fixture(autouse=True)
def _no_credentials_refused_yet() -> Iterator[None]:
    token._refused.clear()
    yield
    token._refused.clear()


@pytest.fixture
def proofs() -> Proofs:
    return Proofs()


@pytest.fixture(scope="session")
def _standing_sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def rig(_standing_sandbox: Sandbox, proofs: Proofs) -> Iterator[Callable[..., Rig]]:
    """``rig(range_mode="ignore")`` plays a Trust that differs so from the default one.

    The first of a test is a sandbox that stands for all tests, made new; starting one takes longer
    than most tests.
    """
    with ExitStack() as stack:
        unused = [_standing_sandbox]

        def start(clock: str = NOW, **config: Any) -> Rig:
            sandbox = unused.pop() if unused else stack.enter_context(running_sandbox())
            renew(sandbox, clock, Config(**config))
            return Rig(sandbox, proofs, stack)

        yield start


def renew(sandbox: Sandbox, clock: str, config: Config) -> None:
    world = sandbox.world
    world.clock.set(parse_instant(clock), running=False)
    sandbox.begin_anew()
    world.trust.__init__(world, config)


@pytest.fixture
def sample() -> Callable[[str], dict[str, Any]]:
    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((SAMPLES / f"trust_{name}.json").read_text())
        return found

    return read


@pytest.fixture
def as_row() -> Callable[[Batch], dict[str, Any]]:
    return row_of


def row_of(batch: Batch) -> dict[str, Any]:
    """The batch's one record by column, but ``asked_at`` and ``extra``, as JSON would have it."""
    [record] = batch.records
    row: dict[str, Any] = {}
    at = 0
    for column in TABLE.columns:
        length = int.from_bytes(record[at : at + 4], "big", signed=True)
        field = record[at + 4 : at + 4 + max(length, 0)]
        at += 4 + max(length, 0)
        row[column.name] = None if length < 0 else _READ[column.type](field)
    return {name: value for name, value in row.items() if name not in ("asked_at", "extra")}


_READ: dict[str, Callable[[bytes], Any]] = {
    "date": lambda field: str(
        date.fromordinal(date(2000, 1, 1).toordinal() + int.from_bytes(field, "big", signed=True))
    ),
    "bigint": lambda field: int.from_bytes(field, "big", signed=True),
    "boolean": lambda field: field == b"\x01",
    "timestamptz": lambda field: int.from_bytes(field, "big", signed=True),
    "json": bytes.decode,
}
