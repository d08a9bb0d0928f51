"""A link that goes down for a while, in a network namespace of its own: Linux alone has those."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dagster_project.errors import TryLater
from dagster_project.model.response import ExtractStats
from dagster_project.transport.connection import DELIVERY_SECONDS
from dagster_project.transport.exchange import Gate, Request
from dagster_project.transport.session import RetryPolicy, Session
from tests.support.programs import need

NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")


def test_a_request_that_was_lost_does_not_arrive_when_the_link_is_back() -> None:
    need("unshare", "ip")
    try:
        subprocess.run([*NAMESPACE, "ip", "link", "set", "lo", "up"], check=True)
    except subprocess.CalledProcessError:
        pytest.skip("no network namespaces for this user here")
    subprocess.run(
        [*NAMESPACE, sys.executable, "-m", "tests.transport.test_connection"],
        check=True,
    )


class _Vendor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return None


class _CutsTheLink(Gate):
    """Cuts it as the request leaves."""

    def acquire(self) -> bool:
        set_link("down")
        return True


def set_link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def main() -> None:
    set_link("up")
    vendor = ThreadingHTTPServer(("127.0.0.1", 0), _Vendor)
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    http = Session(retry=RetryPolicy(attempts=1))
    request = Request("GET", f"http://127.0.0.1:{vendor.server_port}/")
    http.send(request, stats=ExtractStats())

    began = time.monotonic()
    with pytest.raises(TryLater):
        http.send(request, stats=ExtractStats(), gate=_CutsTheLink())
    assert time.monotonic() - began < DELIVERY_SECONDS + 5
    set_link("up")
    time.sleep(2 * DELIVERY_SECONDS)
    assert _Vendor.asked == 1
    http.send(request, stats=ExtractStats())
    assert _Vendor.asked == 2
    vendor.shutdown()


if __name__ == "__main__":
    main()
