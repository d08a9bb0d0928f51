"""``warehouse ui`` as it runs: what other sites' pages ask is refused, and the UI itself goes on.

One real installation: the command with its webserver, daemon and code server, over a played vendor.
Requests are made as browsers make them for pages of other sites; afterwards a browser does what a
person does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dagster as dg
import pytest
import requests
from dagster._core.storage.tags import SCHEDULE_NAME_TAG
from dagster_webserver.webserver import DagsterWebserver
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dagster_project.sandbox.server import running_sandbox
from tests.conftest import PostgresServer
from tests.orchestration.test_scrubbing import kept
from tests.support.browser import Browser, browsing
from tests.support.operating import KEY, House, calltouch_alone, days_back, operating
from tests.support.ports import free_port

COMMAND = (sys.executable, "-c", "from dagster_project.cli.main import main; main()")
RUN_SECONDS = 400
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
WIPE = """mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["calltouch", "sms"]}}])
          { __typename } }"""


@dataclass(frozen=True)
class Ui:
    """``warehouse ui`` on a port of loopback, and the run that was there before it.

    Its daemon begins runs by the clock: where these tests pass at night there are more.
    """

    house: House
    port: int
    loaded: str

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, allow_redirects=False, timeout=60, **options
        )

    def graphql(self, query: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = self.ask("POST", "/graphql", json=body, headers=headers or {})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def ui(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    home = tmp_path_factory.mktemp("ui")
    with (
        running_sandbox(clock=datetime.now(UTC)) as sandbox,
        pytest.MonkeyPatch.context() as patch,
        operating(warehouse, home, patch, calltouch_alone(sandbox)) as house,
    ):
        assert house.refresh(days_back(1))
        [loaded] = house.instance.get_runs()
        port = free_port()
        command = subprocess.Popen(
            [*COMMAND, "ui", "--port", str(port)],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=(home / "ui.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/server_info", command, home / "ui.log")
            yield Ui(house, port, loaded.run_id)
        finally:
            command.send_signal(signal.SIGINT)
            command.wait()
    server.drop(warehouse)


def _wait_for(url: str, command: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 500
    while True:
        try:
            requests.get(url, timeout=10).raise_for_status()
            return
        except requests.RequestException:
            assert command.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.2)


def paths() -> list[tuple[str, tuple[str, ...]]]:
    """Every route of the app with its methods, its parameters filled in."""
    found = []
    for route in DagsterWebserver(None).build_routes():  # type: ignore[arg-type]
        path = route.path.replace("{path:path}", "runs").replace(
            "{asset_key:path}", "calltouch/sms"
        )
        path = path.replace("{run_id:str}", "a-run")
        if isinstance(route, Mount):
            found.append((f"{path}/a-file", ("GET",)))
        elif isinstance(route, Route):
            found.append((path, tuple(sorted(route.methods or ["GET"]))))
        else:
            assert isinstance(route, WebSocketRoute)
            assert path == "/graphql"
    return found


ROUTES = paths()
FOREIGN: dict[str, dict[str, str]] = {
    "a rebound name": {"Host": "evil.example:{port}"},
    "a rebound name without a port": {"Host": "evil.example"},
    "a name that only begins like ours": {"Host": "localhost.evil.example:{port}"},
    "no name": {"Host": ""},
    "another site": {"Origin": "https://evil.example"},
    "another port of this machine": {"Origin": "http://localhost:1"},
    "a sandboxed frame": {"Origin": "null"},
    "another name of this machine": {"Origin": "http://127.0.0.1:{port}"},
    "what a browser calls cross-site": {"Sec-Fetch-Site": "cross-site"},
    "what a browser calls same-site": {"Sec-Fetch-Site": "same-site"},
    "a frame of another site": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "iframe",
    },
    "a form of another site": {
        "Origin": "https://evil.example",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    },
}


def test_the_routes_are_those_that_change_something_and_more() -> None:
    known = {path for path, _ in ROUTES}
    assert len(ROUTES) > 15
    assert known >= {
        *("/graphql", "/server_info", "/dagit_info", "/logs/runs", "/notebook", "/runs", "/"),
        *("/download_debug/a-run", "/report_asset_materialization/calltouch/sms"),
        *("/report_asset_check/calltouch/sms", "/report_asset_observation/calltouch/sms"),
    }


@pytest.mark.parametrize("whose", FOREIGN)
def test_no_route_answers_what_comes_from_elsewhere(ui: Ui, whose: str) -> None:
    headers = {name: value.format(port=ui.port) for name, value in FOREIGN[whose].items()}
    for path, methods in ROUTES:
        for method in methods:
            body = {"json": {"query": RUNS}} if method == "POST" else {}
            answer = ui.ask(method, path, headers=headers, **body)
            assert answer.status_code in (400, 403), f"{method} {path}: {answer.status_code}"
            assert "runId" not in answer.text


@pytest.mark.parametrize("whose", FOREIGN)
def test_the_websocket_is_not_opened_to_what_comes_from_elsewhere(ui: Ui, whose: str) -> None:
    foreign = {name: value.format(port=ui.port) for name, value in FOREIGN[whose].items()}
    own = {"Host": f"localhost:{ui.port}", "Origin": ui.url}
    assert handshake(ui.port, own) == 101
    assert handshake(ui.port, own | foreign) in (400, 403)


def handshake(port: int, headers: dict[str, str]) -> int:
    """The status with which the server answers to a WebSocket's opening."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("GET", "/graphql", skip_host=True)
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    asked |= {
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "graphql-ws",
    }
    for name, value in {**asked, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


JSON = {"Content-Type": "application/json"}
QUERY = urlencode({"query": WIPE})
FORM = {"query": WIPE}
REPORT = "/report_asset_materialization/calltouch/sms?" + urlencode(
    {"partition": "2024-01-01", "metadata": '{"made": "up"}'}
)
CHECK = "/report_asset_check/calltouch/sms?check_name=complete&passed=true&severity=WARN"
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "GET": ("GET", f"/graphql?{QUERY}", {}),
    "GET, as a page": ("GET", f"/graphql?{QUERY}", {"headers": {"Accept": "text/html"}}),
    "HEAD": ("HEAD", f"/graphql?{QUERY}", {}),
    "GET with a body": ("GET", f"/graphql?{QUERY}", {"json": FORM}),
    "GET that says it is a POST": (
        "GET",
        f"/graphql?{QUERY}",
        {"headers": {"X-HTTP-Method-Override": "POST"}},
    ),
    "POST without a body": ("POST", f"/graphql?{QUERY}", {}),
    "a form": ("POST", f"/graphql?{QUERY}", {"data": FORM}),
    "a form with files": ("POST", f"/graphql?{QUERY}", {"files": FORM}),
    "plain text": (
        "POST",
        f"/graphql?{QUERY}",
        {"data": json.dumps(FORM), "headers": {"Content-Type": "text/plain"}},
    ),
    "plain text that mentions JSON": (
        "POST",
        "/graphql",
        {"data": json.dumps(FORM), "headers": {"Content-Type": "text/plain; application/json"}},
    ),
    "application/graphql": (
        "POST",
        "/graphql",
        {"data": WIPE, "headers": {"Content-Type": "application/graphql"}},
    ),
    "PUT": ("PUT", "/graphql", {"json": FORM}),
    "PATCH": ("PATCH", "/graphql", {"json": FORM}),
    "DELETE": ("DELETE", "/graphql", {"json": FORM}),
    "OPTIONS": ("OPTIONS", f"/graphql?{QUERY}", {"json": FORM}),
    "a materialization": ("POST", REPORT, {}),
    "a materialization, as JSON": ("POST", REPORT, {"headers": JSON, "data": "{}"}),
    "a materialization by GET": ("GET", REPORT, {}),
    "a check": ("POST", CHECK, {}),
    "a check, as JSON": ("POST", CHECK, {"headers": JSON, "data": "{}"}),
    "an observation": ("POST", "/report_asset_observation/calltouch/sms?partition=2024-01-01", {}),
    "an observation as a form": (
        "POST",
        "/report_asset_observation/calltouch/sms",
        {"data": {"partition": "2024-01-01"}},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_changed_but_by_the_json_body_of_a_post(ui: Ui, way: str) -> None:
    method, path, options = WAYS[way]
    before = events(ui)
    assert any(before.values())
    answer = ui.ask(method, path, **options)
    is_page = method == "GET" and answer.text.startswith("<!DOCTYPE html")
    assert answer.status_code in (400, 405, 415) or is_page, answer.text
    assert events(ui) == before


def events(ui: Ui) -> dict[str, int]:
    """How many events of each kind Dagster knows of the rows, days that count as materialized too."""
    key = dg.AssetKey(["calltouch", "sms"])
    instance = ui.house.instance
    with ui.house.warehouse.connect_admin(
        database=ui.house.warehouse.dagster_database
    ) as connection:
        kinds = connection.execute(
            "SELECT dagster_event_type, count(*) FROM event_logs WHERE asset_key = %s GROUP BY 1",
            (key.to_string(),),
        ).fetchall()
    return {**dict(kinds), "days": len(instance.get_materialized_partitions(key))}


def test_over_the_websocket_nothing_is_changed_either(ui: Ui) -> None:
    before = events(ui)
    with connect(
        f"ws://localhost:{ui.port}/graphql", subprotocols=[Subprotocol("graphql-ws")]
    ) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": WIPE}}))
        answer = json.loads(socket.recv(30))
    assert answer["type"] == "error", answer
    assert events(ui) == before


def test_what_the_ui_asks_is_answered(ui: Ui) -> None:
    own = {"Origin": ui.url, "Sec-Fetch-Site": "same-origin"}
    assert {"runId": ui.loaded} in ui.graphql(RUNS, own)["runsOrError"]["results"]
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert "<html" in ui.ask("GET", f"/runs/{ui.loaded}", headers=link).text, "a link in an alarm"
    assert ui.ask("GET", "/graphql", headers={"Accept": "text/html"}).status_code == 200
    assert requests.get(f"http://127.0.0.1:{ui.port}/server_info", timeout=60).ok
    charset = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"query": RUNS})
    assert ui.ask("POST", "/graphql", data=body, headers={**own, **charset}).ok


def test_run_config_that_names_the_environment_starts_nothing_and_tells_nothing(
    ui: Ui, server: PostgresServer
) -> None:
    """For the key, the vendor's token, and Dagster's URL with its password, as lists and in the asset job."""
    before = launched(ui)
    token = os.environ["CALLTOUCH_ACCESS_TOKEN"]
    values = [KEY, token, ui.house.warehouse.admin.secret or ""]
    for name in ("PII_HASH_KEY", "CALLTOUCH_ACCESS_TOKEN", "WAREHOUSE_DAGSTER_STORAGE_URL"):
        config = {"ops": {"load_calltouch": {"config": {"accounts": [{"env": name}]}}}}
        for job in ("refresh_calltouch", "__ASSET_JOB"):
            answer = json.dumps(launch(ui, job, config))
            assert "RunConfigValidationInvalid" in answer
            assert not any(value in answer for value in values)
    assert launched(ui) == before
    for place, text in kept(ui.house, server).items():
        assert not any(value in text for value in values), place


def launched(ui: Ui) -> int:
    """How many runs were begun, but for those of schedules."""
    runs = ui.house.instance.get_runs()
    return len([run for run in runs if SCHEDULE_NAME_TAG not in run.tags])


def launch(ui: Ui, job: str, config: dict[str, Any]) -> Any:
    """As the launchpad does it."""
    selector = {
        "repositoryLocationName": "messaging_warehouse",
        "repositoryName": "__repository__",
        "pipelineName": job,
        "assetSelection": [{"path": ["calltouch", "sms"]}, {"path": ["raw", "calltouch_sms"]}],
    }
    [day] = days_back(1)
    return ui.graphql(
        """mutation Launch($parameters: ExecutionParams!) {
             launchPipelineExecution(executionParams: $parameters) {
               __typename ... on RunConfigValidationInvalid { errors { message } }
             } }""",
        parameters={
            "mode": "default",
            "runConfigData": json.dumps(config),
            "selector": selector,
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": str(day)}]},
        },
    )


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as running:
        yield running


def test_a_person_clicks_through_a_rerun(ui: Ui, browser: Browser, tmp_path: Path) -> None:
    """Pages, GraphQL and the WebSocket as the browser itself asks for them; the daemon does the run."""
    first = ui.loaded
    browser.open(f"{ui.url}/runs/{first}")
    browser.click("Re-execute all (*)")
    again = browser.until(lambda: new_run(ui, first), "no run was launched")
    browser.until(lambda: again in browser.url, "the new run is not shown")
    # The daemon takes it from its queue, and starts a process that imports everything.
    browser.until(
        lambda: "Success" in browser.run("return document.body.innerText"),
        "the run is not done",
        RUN_SECONDS,
    )
    browser.picture(tmp_path / "rerun.png")
    run = ui.house.instance.get_run_by_id(again)
    assert run is not None
    assert (run.status, run.parent_run_id) == (dg.DagsterRunStatus.SUCCESS, first)


def new_run(ui: Ui, first: str) -> str | None:
    runs = [run.run_id for run in ui.house.instance.get_runs() if run.parent_run_id == first]
    return runs[0] if runs else None
