"""The sandbox as a server: its controls, its process, and its manners towards many clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import requests

from dagster_project.config.settings import load_settings
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.server import Sandbox, SandboxProcess, running_sandbox
from dagster_project.sandbox.stats import Stats
from dagster_project.sandbox.wire import SlidingSecond
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from tests.sandbox.conftest import BIG, NOON, SMALL, CalltouchUser, multiset

A_DAY = date(2024, 4, 10)


def test_the_settings_point_the_product_at_the_sandbox(sandbox: Sandbox) -> None:
    environment = {"PII_HASH_KEY": "a key of this sandbox alone", **sandbox.settings_env()}
    settings = load_settings(environment, dotenv=None)
    section = settings.section(CalltouchSettings)
    assert section is not None
    assert [site.site_id for site in section.sites] == [BIG, SMALL]
    assert section.base_url == sandbox.url
    over_http = requests.get(f"{sandbox.url}/_sandbox/settings", timeout=5).json()
    assert over_http == sandbox.settings_env()


def test_the_clock_is_read_set_and_shifted_over_http(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/_sandbox/clock"
    assert requests.get(url, timeout=5).json() == {
        "now": "2024-05-01T09:00:00+00:00",
        "running": False,
    }
    requests.post(url, json={"shift_seconds": 3600}, timeout=5).raise_for_status()
    assert sandbox.world.clock.now() == datetime(2024, 5, 1, 10, tzinfo=UTC)
    requests.post(url, json={"now": "2024-06-01T00:00:00+03:00", "running": True}, timeout=5)
    assert sandbox.world.clock.now() >= datetime(2024, 5, 31, 21, tzinfo=UTC)
    assert sandbox.world.clock.running


@pytest.mark.parametrize("wish", [{"now": "2024-06-01T00:00:00"}, {"now": "soon"}])
def test_an_instant_without_its_offset_is_refused(sandbox: Sandbox, wish: dict[str, str]) -> None:
    before = sandbox.world.clock.now()
    answer = requests.post(f"{sandbox.url}/_sandbox/clock", json=wish, timeout=5)
    assert (answer.status_code, sandbox.world.clock.now()) == (400, before)


def test_a_clock_stands_runs_or_is_real() -> None:
    instant = datetime(2024, 5, 1, tzinfo=UTC)
    standing, running, real = Clock(instant), Clock(instant, running=True), Clock.parse("now")
    time.sleep(0.02)
    assert standing.now() == instant
    assert timedelta(0) < running.now() - instant < timedelta(seconds=20)
    assert abs(real.now() - datetime.now(UTC)) < timedelta(seconds=5)
    running.shift(timedelta(days=-1))
    assert running.now() < instant


def test_stats_tell_requests_statuses_points_and_the_busiest_second(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    for _ in range(3):
        user.ask(A_DAY)
    user.post({})
    stats = requests.get(f"{sandbox.url}/_sandbox/stats", timeout=5).json()
    path = "/lead-service/v1/api/sms-to-clients/result"
    assert stats["answers"] == [
        {"vendor": "calltouch", "path": path, "status": "200", "count": 3},
        {"vendor": "calltouch", "path": path, "status": "400", "count": 1},
    ]
    assert stats["requests"] == {"calltouch": 4}
    assert stats["points"][0]["points"] == 6
    assert stats["busiest_second"]["calltouch"] in (1, 2, 3, 4), "as fast as this machine is"
    calls = requests.get(f"{sandbox.url}/_sandbox/calls?vendor=calltouch", timeout=5).json()
    assert [(call["account"], call["status"]) for call in calls][:1] == [(str(SMALL), "200")]
    requests.delete(f"{sandbox.url}/_sandbox/stats", timeout=5)
    assert sandbox.world.stats.requests("calltouch") == 0


def test_the_truth_is_told_to_other_processes(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/_sandbox/truth/calltouch?site={SMALL}&from=2024-04-09&to=2024-04-10"
    lines = requests.get(url, timeout=5).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert multiset(rows) == multiset(sandbox.world.calltouch.rows(SMALL, date(2024, 4, 9), A_DAY))
    early = requests.get(f"{url}&at=2024-04-09T12:00:00%2B03:00", timeout=5).text.splitlines()
    assert 0 < len(early) < len(lines)


def test_configuration_is_changed_over_http(sandbox: Sandbox, user: CalltouchUser) -> None:
    url = f"{sandbox.url}/_sandbox/config/calltouch"
    requests.post(url, json={"latency": 0.3}, timeout=5).raise_for_status()
    started = time.monotonic()
    assert user.ask(A_DAY).ok
    assert time.monotonic() - started >= 0.3
    assert requests.post(url, json={"latencyy": 1}, timeout=5).status_code == 400
    assert (
        requests.post(f"{sandbox.url}/_sandbox/config/nobody", json={}, timeout=5).status_code
        == 400
    )


def test_latency_is_not_a_queue(sandbox: Sandbox) -> None:
    sandbox.world.calltouch.config.latency = 1.0
    users = [CalltouchUser(sandbox) for _ in range(12)]
    answers: list[requests.Response] = []
    started = time.monotonic()
    threads = [
        threading.Thread(target=lambda user=user: answers.append(user.ask(A_DAY))) for user in users
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 12
    assert time.monotonic() - started < 8, "one after another they take twelve seconds"


def test_a_second_is_full_after_so_many_requests_and_free_again_after_it() -> None:
    second, ms = SlidingSecond(), 1_000_000
    taken = [second.take(2, at * ms, at * ms) for at in (0, 1, 2, 999, 1000, 1001, 1002)]
    assert taken == [True, True, False, False, True, True, False]


def test_the_busiest_second_is_any_and_ends_before_its_last_instant() -> None:
    stats, ms = Stats(), 1_000_000
    for at in (0, 500, 900, 1400, 1499, 1500):
        stats.arrived("calltouch", at * ms, at * ms)
    assert stats.busiest_second("calltouch") == 4, "from 0.5 s to before 1.5 s"


def test_requests_that_the_sandbox_saw_late_are_not_held_against_the_client() -> None:
    second, stats, ms = SlidingSecond(), Stats(), 1_000_000
    for earliest, seen in ((0, 400), (1020, 1020)):
        assert second.take(1, earliest * ms, seen * ms)
        stats.arrived("calltouch", earliest * ms, seen * ms)
    assert stats.busiest_second("calltouch") == 1


def test_an_answer_that_ends_after_a_reset_is_not_counted_into_the_new_figures() -> None:
    stats = Stats()
    before = stats.arrived("tellody", 0, 0)
    stats.reset()
    now = stats.arrived("tellody", 1, 1)
    stats.answered(before, "tellody", "/PaymentHistory", 200)
    stats.answered(now, "tellody", "/UniqueCode", 200)
    assert [call["path"] for call in stats.calls("tellody")] == ["/UniqueCode"]
    assert [answer["path"] for answer in stats.as_dict()["answers"]] == ["/UniqueCode"]


def test_a_call_that_was_given_up_before_a_new_beginning_is_not_counted_after_it(
    sandbox: Sandbox,
) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /oauth/token/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
            )
        sandbox.begin_anew()
        assert is_answering(sandbox.url)
        assert sandbox.world.stats.requests("trust") == 0


def test_a_client_that_dies_inside_a_page_harms_nobody(
    sandbox: Sandbox, big_user: CalltouchUser
) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    body = json.dumps({"dateFrom": "27-04-2024 00:00:00", "dateTo": "27-04-2024 23:59:59"})
    head = (
        "POST /lead-service/v1/api/sms-to-clients/result HTTP/1.1\r\nHost: x\r\n"
        f"Access-Token: {sandbox.world.calltouch.config.token}\r\nSiteId: {BIG}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(3):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall((head + body).encode())
            connection.recv(1000)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode())
    assert len(big_user.pages(date(2024, 4, 27))) == 35_000


def test_it_listens_on_loopback_alone(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_a_process_of_its_own_tells_the_same_world(sandbox: Sandbox) -> None:
    site = {"requests_per_second": 0}
    with SandboxProcess(clock=NOON, calltouch=site) as other:
        rows = other.truth("calltouch", site=SMALL, from_=A_DAY, to=A_DAY)
        assert other.settings_env()["CALLTOUCH_BASE_URL"] == other.url
        assert other.post("clock", {"shift_seconds": 60})["now"] == "2024-05-01T09:01:00+00:00"
        other.post("faults", [{"kind": "gzip"}])
        other.post("faults", {"kind": "bom"})
        assert [fault["kind"] for fault in other.get("faults")] == ["gzip", "bom"]
        assert other.delete("faults") == other.get("faults") == []
    assert rows == sandbox.world.calltouch.rows(SMALL, A_DAY, A_DAY)
    with pytest.raises(requests.ConnectionError):
        requests.get(other.url, timeout=5)


def test_a_process_ends_with_the_one_that_started_it() -> None:
    program = (
        "import time; from dagster_project.sandbox.server import SandboxProcess; "
        "s = SandboxProcess(); print(s.pid, s.url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().split()[1]
        assert requests.get(f"{url}/_sandbox/ready", timeout=5).ok
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 100
    while (answers := is_answering(url)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers


def is_answering(url: str) -> bool:
    try:
        return requests.get(f"{url}/_sandbox/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_the_command_says_where_it_listens_and_ends_quietly_at_ctrl_c(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "dagster_project.sandbox", "--clock", NOON]
    with subprocess.Popen(
        [*command, "--ready-file", str(ready)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as served:
        assert served.stdout is not None
        line = served.stdout.readline()
        deadline = time.monotonic() + 100
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        assert told["pid"] == served.pid
        assert told["url"] in line
        assert is_answering(told["url"])
        served.send_signal(signal.SIGINT)
        assert served.communicate(timeout=60)[1] == ""
    assert served.returncode == 0


def test_an_unknown_vendor_or_field_in_the_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="no such vendor: tele"), running_sandbox(tele={}):
        pass
    with pytest.raises(TypeError), running_sandbox(calltouch={"latencyy": 1}):
        pass
