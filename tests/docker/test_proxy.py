"""The proxy's own configuration in a real nginx: nobody passes without the right password."""

from __future__ import annotations

import base64
import math
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.programs import need

DOCKER = Path(__file__).resolve().parents[2] / "docker"


class Webserver:
    """Stands where Dagster's webserver does: answers with its name, the path, and what it was sent."""

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f"{name} {self.path} authorization={self.headers.get('Authorization')}"
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815 - the name that is called

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Proxy:
    port: int
    health_port: int
    passwords: dict[str, str]
    secrets: Path

    def get(
        self,
        path: str,
        user: str | None = None,
        password: str | None = None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, str]:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}", body, dict(headers or {}), method=method
        )
        if user is not None:
            who = f"{user}:{self.passwords[user] if password is None else password}"
            request.add_header("Authorization", f"Basic {base64.b64encode(who.encode()).decode()}")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    need("nginx", "openssl")
    # As in the stack, it is an ordinary user from the beginning, and writes in one folder alone.
    folder = Path(tempfile.mkdtemp(prefix="warehouse-test-"))
    folder.chmod(0o777)
    secrets = folder / "secrets"
    made = subprocess.run(
        ["sh", str(DOCKER / "make-secrets"), str(secrets)],
        check=True,
        capture_output=True,
        text=True,
    )
    secrets.chmod(0o711)
    operators, viewers = Webserver("operators"), Webserver("viewers")
    port, health_port = free_port(), free_port()
    config = (DOCKER / "nginx.conf").read_text()
    for here, there in {
        "listen 8443": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8081": f"127.0.0.1:{health_port}",
        "webserver:3000": f"127.0.0.1:{operators.port}",
        "viewer:3000": f"127.0.0.1:{viewers.port}",
        "/run/secrets": str(secrets),
        "/var/run/nginx.pid": str(folder / "nginx.pid"),
        "/tmp/nginx-": f"{folder}/nginx-",
    }.items():
        assert here in config
        config = config.replace(here, there)
    (folder / "nginx.conf").write_text(config)
    nginx = subprocess.Popen(
        ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"],
        stderr=(folder / "error.log").open("w"),
        user="nobody" if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
    )
    found = Proxy(
        port, health_port, dict(re.findall(r"user (\w+), password (\S+)", made.stdout)), secrets
    )
    try:
        deadline = time.monotonic() + 100
        while True:
            try:
                found.get("/")
                break
            except OSError:
                assert nginx.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield found
    finally:
        nginx.terminate()
        nginx.wait(timeout=60)
        operators.close()
        viewers.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/view", "/view/", "/view/graphql", "/dagit_info"]
)
def test_without_a_password_every_path_is_closed(proxy: Proxy, path: str) -> None:
    status, body = proxy.get(path)
    # A redirect tells nothing; what it leads to asks.
    assert status == 401
    assert "operators" not in body


def test_a_wrong_password_is_as_good_as_none(proxy: Proxy) -> None:
    assert proxy.get("/", "operator", "wrong")[0] == 401
    assert proxy.get("/", "operator", proxy.passwords["viewer"])[0] == 401


def test_an_operator_reaches_the_ui_and_the_password_goes_no_further(proxy: Proxy) -> None:
    assert proxy.get("/runs", "operator") == (200, "operators /runs authorization=None")


def test_a_viewer_reaches_the_read_only_ui_alone(proxy: Proxy) -> None:
    assert proxy.get("/view/runs", "viewer") == (200, "viewers /view/runs authorization=None")
    assert proxy.get("/runs", "viewer")[0] == 401
    assert proxy.get("/graphql", "viewer")[0] == 401


@pytest.mark.parametrize(
    "path", ["/view/../graphql", "/view/..%2fgraphql", "//graphql", "/view/%2e%2e/graphql"]
)
def test_no_spelling_of_a_path_takes_a_viewer_to_the_operators_ui(proxy: Proxy, path: str) -> None:
    status, body = proxy.get(path, "viewer")
    assert status != 200 or body.startswith("viewers ")


def test_an_operator_may_look_as_well(proxy: Proxy) -> None:
    assert proxy.get("/view/", "operator")[0] == 200


def test_its_health_is_told_on_loopback_alone(proxy: Proxy) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.health_port}/healthy", timeout=5) as ok:
        assert ok.status == 204
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{proxy.health_port}/graphql", timeout=5)


ELSEWHERE: dict[str, dict[str, str]] = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "https://127.0.0.1:1"},
    "a name that only begins like ours": {"Origin": "https://127.0.0.1:{port}.evil.example"},
    "no encryption": {"Origin": "http://127.0.0.1:{port}"},
    "a sandboxed frame": {"Origin": "null"},
    "what a browser calls cross-site": {"Sec-Fetch-Site": "cross-site"},
    "what a browser calls same-site": {"Sec-Fetch-Site": "same-site"},
    "a frame": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "iframe",
    },
    "a WebSocket": {"Origin": "https://evil.example", "Upgrade": "websocket"},
    "a WebSocket that says it opens a page": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Upgrade": "websocket",
    },
}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("whose", ELSEWHERE)
def test_what_another_sites_page_asks_goes_no_further(proxy: Proxy, whose: str) -> None:
    """The browser sends the person's password along: it is not what tells the two apart."""
    headers = {name: value.format(port=proxy.port) for name, value in ELSEWHERE[whose].items()}
    for user, above in (("operator", ""), ("viewer", "/view")):
        for path in ("/graphql", "/runs", "/report_asset_check/a", "/download_debug/a", "/"):
            status, body = proxy.get(above + path, user, headers=headers)
            assert (status, "authorization" in body) == (403, False), path
            asked = headers | JSON
            status, _ = proxy.get(above + path, user, method="POST", headers=asked, body=b"{}")
            assert status == 403, path


def test_a_link_from_elsewhere_opens_a_page(proxy: Proxy) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert proxy.get("/runs/1", "operator", headers=link)[0] == 200


@pytest.mark.parametrize("above", ["", "/view"])
def test_what_is_to_be_done_stands_in_the_json_body_of_a_post(proxy: Proxy, above: str) -> None:
    user = "viewer" if above else "operator"
    own = {"Origin": f"https://127.0.0.1:{proxy.port}", "Sec-Fetch-Site": "same-origin"}
    for content in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        headers = {**own, "Content-Type": content}
        status, _ = proxy.get(f"{above}/graphql", user, method="POST", headers=headers, body=b"{}")
        assert status == 200
    for content in (
        *("text/plain", "text/plain; application/json", "application/json-patch+json"),
        *("multipart/form-data", "application/x-www-form-urlencoded", "application/graphql"),
    ):
        headers = {**own, "Content-Type": content}
        status, _ = proxy.get(f"{above}/graphql", user, method="POST", headers=headers, body=b"{}")
        assert status == 415, content
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        status, _ = proxy.get(f"{above}/graphql", user, method=method, headers=JSON, body=b"{}")
        assert status == 415, method
    for path in ("/graphql?query=mutation", "/graphql/?query=mutation", "/%67raphql?query=m"):
        assert proxy.get(above + path, user, headers={"Accept": "text/html"})[0] == 405
    assert proxy.get(f"{above}/graphql", user)[0] == 200
    assert proxy.get(f"{above}/runs?q=status", user)[0] == 200


def test_guessing_a_password_is_slowed_to_a_few_attempts_a_minute(proxy: Proxy) -> None:
    assert proxy.get("/runs", "operator")[0] == 200
    began = time.monotonic()
    statuses: list[int] = []
    # No more than it takes: what was right is kept for a minute, and guesses may be slow.
    while statuses.count(429) < 5 and len(statuses) < 40:
        statuses.append(proxy.get("/", "operator", f"guess {len(statuses)}")[0])
    minutes = (time.monotonic() - began) / 60
    assert set(statuses) == {401, 429}
    # Six at once (a burst of five), then five a minute.
    assert statuses.count(401) <= 6 + math.ceil(5 * minutes)
    # Whoever has signed in goes on, and others sign in.
    assert proxy.get("/runs", "operator")[0] == 200
    assert proxy.get("/view/", "viewer")[0] == 200
    assert proxy.get("/")[0] == 401, "no name, no attempt: a browser asks for one"
    answers = [
        proxy.get("/", "operator", "guess", method="POST", headers=JSON, body=b"{}")
        for _ in range(5)
    ]
    refused = {body.strip() for status, body in answers if status == 429}
    assert refused == {"Too many attempts to sign in: wait a minute."}


def test_a_guess_too_many_is_not_told_to_be_right(proxy: Proxy) -> None:
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "the right one"], check=True, capture_output=True, text=True
    ).stdout
    viewers = proxy.secrets / "viewers_htpasswd"
    viewers.chmod(0o644)
    viewers.write_text(f"{viewers.read_text()}newcomer:{hashed}")
    for n in range(12):
        assert proxy.get("/view/", "newcomer", f"guess {n}")[0] in (401, 429)
    told = [proxy.get("/view/", "newcomer", "the right one")[0] for _ in range(5)]
    assert told == [429] * 5


def test_many_requests_of_one_page_are_no_guesses(proxy: Proxy) -> None:
    with ThreadPoolExecutor(20) as pool:
        told = set(pool.map(lambda n: proxy.get(f"/view/asset/{n}", "viewer")[0], range(60)))
    assert told == {200}
