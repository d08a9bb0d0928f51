"""``warehouse metrics``: how things stand, in Prometheus' text format, printed or served.

Everything is read from Postgres when it is asked for: one process tells of the whole fleet, and may
run anywhere. A scrape that cannot read answers 503, so that the target shows as down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import click

from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.monitoring.logs import Metric, exposition
from dagster_project.monitoring.metrics import account_metrics, last_day_metrics, point_metrics
from dagster_project.orchestration import services
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.run_metrics import run_metrics

PATH = "/metrics"


def metrics(*, port: int | None, host: str) -> int:
    """Print the figures once, or serve them until interrupted."""
    with _reader() as read:
        if port is None:
            click.echo(read(), nl=False)
            return 0
        serve(read, host, port)
    return 0


class Reader:
    """Answers with the text; one scrape reads at a time, on connections that are kept."""

    def __init__(self, settings: Settings, read_runs: Callable[[], list[Metric]]) -> None:
        self._settings = settings
        self._read_runs = read_runs
        self._lock = Lock()

    def __call__(self) -> str:
        with (
            self._lock,
            services.warehouse().connect(
                what="metrics", autocommit=True, statement_timeout=20
            ) as connection,
        ):
            found = [
                *account_metrics(connection, self._settings),
                *last_day_metrics(connection),
                *point_metrics(connection, self._settings),
                *self._read_runs(),
            ]
        return exposition(found)


@contextmanager
def _reader() -> Iterator[Reader]:
    settings = services.settings()
    with opened_instance(settings, services.current_warehouse()) as instance:
        yield Reader(settings, partial(run_metrics, instance))


def serve(read: Reader, host: str, port: int) -> None:
    """Serve ``/metrics`` until interrupted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = 404, f"see {PATH}\n"
            if self.path == PATH:
                try:
                    status, text = 200, read()
                except WarehouseError as error:
                    status, text = 503, f"{type(error).__name__}\n"
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise SettingsError(
            f"{host}:{port} cannot be listened on.", hint="use --port 0 for a free port."
        ) from error
    click.echo(f"metrics: http://{host}:{server.server_address[1]}{PATH}  (Ctrl-C ends it)")
    with server:
        server.serve_forever()
