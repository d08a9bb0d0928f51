"""A session used by many threads, given up, and held at a gate."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from dagster_project.concurrency import Abandoned
from dagster_project.errors import (
    RequestRefused,
    TryLater,
)
from dagster_project.model.response import ExtractStats
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.exchange import (
    ExchangeResult,
    Gate,
    Request,
    Transient,
)
from dagster_project.transport.session import RetryPolicy, Session
from tests.transport.scripted_server import (
    Asked,
    Play,
    ScriptedServer,
    drip_body,
    hang,
    hang_up,
    reply,
    reset,
    serving,
    serving_script,
)
from tests.transport.sessions import GOOD, Pauses, decode, session
from tests.warehouse.server.homes import wait_until


def set_once_asked(server: ScriptedServer, stop: threading.Event) -> None:
    wait_until(lambda: bool(server.asked))
    stop.set()


@pytest.mark.parametrize("play", [hang(30.0), drip_body(600, 0.05), reply("", 503)])
def test_an_exchange_given_up_ends_at_once(play: Play) -> None:
    stop = threading.Event()
    patient = Session(timeouts=Timeouts(30, 30, 60), retry=RetryPolicy(first_wait=60))
    with serving(play) as server:
        threading.Thread(target=set_once_asked, args=(server, stop)).start()
        began = time.monotonic()
        with pytest.raises(Abandoned):
            patient.send(Request("GET", server.url), stats=ExtractStats(), stop=stop)
        assert time.monotonic() - began < 15
        with pytest.raises(Abandoned):
            patient.send(Request("GET", server.url), stats=ExtractStats(), stop=stop)
    assert len(server.asked) == 1


def test_many_threads_share_a_session_and_every_request_is_counted() -> None:
    def script(asked: Asked) -> Play:
        return reply(json.dumps(asked.params), 503 if asked.number % 7 == 0 else 200)

    stats, http = ExtractStats(), session()
    with serving_script(script) as server, ThreadPoolExecutor(12) as pool:

        def ask(number: int) -> Any:
            request = Request("GET", server.url, params={"n": number})
            return http.send(request, stats=stats, sequence=number, classify_response=decode)

        answers = list(pool.map(ask, range(200)))
    assert [answer.decoded for answer in answers] == [{"n": str(n)} for n in range(200)]
    assert stats.requests == len(server.asked) > 200


class Remembering(Gate):
    """Notes what it is asked; lets a request go at the third question, and says so when asked again."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.outcomes: list[ExchangeResult] = []

    def before_attempt(self) -> None:
        self.calls.append("before")

    def acquire(self) -> bool:
        self.calls.append("depart")
        return Counter(self.calls)["depart"] % 4 in (3, 0)

    def on_sent(self) -> None:
        self.calls.append("left")

    def after_attempt(self, outcome: ExchangeResult) -> None:
        self.calls.append("after")
        self.outcomes.append(outcome)


def test_a_gate_is_passed_by_every_attempt_and_told_its_outcome() -> None:
    gate, stats = Remembering(), ExtractStats()
    with serving(reply("", 429, {"Retry-After": "3"}), reset(), reply(GOOD)) as server:
        session().send(Request("GET", server.url), stats=stats, gate=gate)
    assert gate.calls == ["before", *["depart"] * 4, "left", "after"] * 3
    assert [outcome.sent for outcome in gate.outcomes] == [True, True, True]
    assert [outcome.retry_after for outcome in gate.outcomes] == [3.0, None, None]
    statuses = [outcome.reply.status if outcome.reply else None for outcome in gate.outcomes]
    assert statuses == [429, None, 200]
    assert [type(outcome.error) for outcome in gate.outcomes] == [Transient, Transient, type(None)]


def test_the_latency_of_several_requests_is_that_of_the_quickest() -> None:
    stats, http = ExtractStats(), session()
    found: list[float] = []
    with serving(reply(GOOD, after=1.0), reply(GOOD), reply(GOOD, after=1.0)) as server:
        for _ in range(3):
            http.send(Request("GET", server.url), stats=stats)
            found.append(stats.latency or 0.0)
    assert found[0] >= 1.0 > found[1] == found[2] > 0


def test_a_gate_is_asked_last_of_all_with_the_request_formed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []

    class Watching(Gate):
        def acquire(self) -> bool:
            happened.append("depart")
            return True

    form, write = HTTPConnection.endheaders, HTTPConnection.send

    def forming(connection: Any, *args: Any, **named: Any) -> None:
        happened.append("formed")
        form(connection, *args, **named)

    def writing(connection: Any, data: Any) -> None:
        happened.append("written")
        write(connection, data)

    monkeypatch.setattr(HTTPConnection, "endheaders", forming)
    monkeypatch.setattr(HTTPConnection, "send", writing)
    with serving(reply(GOOD)) as server:
        session().send(Request("GET", server.url), stats=ExtractStats(), gate=Watching())
    assert happened == ["depart", "formed", "depart", "written"]


def test_a_request_that_its_server_hung_up_on_while_it_waited_formed_is_sent_again() -> None:
    """The slot is missed while the request is formed, and the server tires of waiting for another."""
    closing, closed = threading.Event(), threading.Event()

    def once(connection: Any) -> None:
        reply(GOOD)(connection)
        closing.wait(100)
        hang_up(connection)
        closed.set()

    class Misses(Gate):
        asked = 0

        def acquire(self) -> bool:
            self.asked += 1
            if self.asked == 2:
                closing.set()
                assert closed.wait(100)
            return self.asked != 2

    stats, pauses = ExtractStats(), Pauses()
    with serving_script(lambda asked: once if asked.number == 1 else reply(GOOD)) as server:
        http = session(pauses)
        http.send(Request("GET", server.url), stats=stats)
        http.send(Request("GET", server.url), stats=stats, gate=Misses())
    assert stats.requests == 2, "what never left is not counted"
    assert len(pauses) == 1


def test_a_request_leaves_on_a_connection_that_the_server_did_not_close_while_it_waited() -> None:
    """The idle connection dies while the second request waits for its slot."""
    closing, closed = threading.Event(), threading.Event()

    def once(connection: Any) -> None:
        reply(GOOD)(connection)
        closing.wait(100)
        hang_up(connection)
        closed.set()

    class Waits(Gate):
        waited = False

        def acquire(self) -> bool:
            if not self.waited:
                closing.set()
                assert closed.wait(100)
            self.waited, before = True, self.waited
            return before

    stats, pauses = ExtractStats(), Pauses()
    with serving_script(lambda asked: once if asked.number == 1 else reply(GOOD)) as server:
        http = session(pauses)
        http.send(Request("GET", server.url), stats=stats)
        http.send(Request("GET", server.url), stats=stats, gate=Waits())
    assert (stats.requests, pauses) == (2, [])


def test_a_gate_that_refuses_stops_the_exchange_before_anything_is_sent() -> None:
    class Shut(Gate):
        def before_attempt(self) -> None:
            raise RequestRefused("not today")

    with serving(reply(GOOD)) as server, pytest.raises(RequestRefused):
        session().send(Request("GET", server.url), stats=ExtractStats(), gate=Shut())
    assert server.asked == []


def test_a_gate_learns_that_nothing_was_sent() -> None:
    with serving(reply()) as server:
        url = server.url
    gate = Remembering()
    with pytest.raises(TryLater):
        session().send(Request("GET", url), stats=ExtractStats(), gate=gate, attempts=1)
    assert gate.calls == ["before", "after"]
    assert not gate.outcomes[0].sent
