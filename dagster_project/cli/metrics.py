"""``warehouse metrics``: how things stand, in Prometheus' text format, printed or served.

Everything is read from Postgres when it is asked for: one process tells of the whole fleet, and may
run anywhere. A scrape that cannot read answers 503, so that the target shows as down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import click
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.monitoring.metrics import account_metrics, last_day_metrics, point_metrics
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.run_metrics import run_metrics
from dagster_project.pipeline import services

PATH = "/metrics"


def metrics(*, port: int | None, host: str) -> int:
    """Print the figures once, or serve them until interrupted."""
    with _reader() as reader:
        if port is None:
            click.echo(exposition(reader), nl=False)
            return 0
        with listening(reader, host, port) as server:
            click.echo(f"metrics: http://{host}:{server.server_port}{PATH}  (Ctrl-C ends it)")
            server.serve_forever()
    return 0


class Reader(Collector):
    """Reads all figures anew for each scrape; one scrape reads at a time, on connections that are kept."""

    def __init__(self, settings: Settings, read_runs: Callable[[], list[Gauge]]) -> None:
        self._settings = settings
        self._read_runs = read_runs
        self._lock = Lock()

    def collect(self) -> Iterable[Gauge]:
        """Metrics without values are left out."""
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
        return [metric for metric in found if metric.samples]


def exposition(collector: Collector) -> str:
    """What a scrape answers with, in the text format."""
    return generate_latest(_registry(collector)).decode()


def _registry(collector: Collector) -> CollectorRegistry:
    """Of these metrics alone: nothing of this process, nothing read before a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return registry


@contextmanager
def _reader() -> Iterator[Reader]:
    settings = services.settings()
    with opened_instance(settings, services.current_warehouse()) as instance:
        yield Reader(settings, partial(run_metrics, instance))


def listening(collector: Collector, host: str, port: int) -> WSGIServer:
    """A server of ``/metrics`` that listens, on a free port for 0; it answers once it serves.

    Raises:
        SettingsError: Another program listens there, or the host is not this machine's.
    """
    try:
        return make_server(host, port, _application(collector), ThreadingWSGIServer, _Handler)
    except OSError as error:
        raise SettingsError(
            f"{host}:{port} cannot be listened on.", hint="use --port 0 for a free port."
        ) from error


def _application(collector: Collector) -> WSGIApplication:
    answer: WSGIApplication = make_wsgi_app(_registry(collector))

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            status, text = "404 Not Found", f"see {PATH}\n"
        else:
            try:
                return answer(environ, start_response)
            except WarehouseError as error:
                status, text = "503 Service Unavailable", f"{type(error).__name__}\n"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode()]

    return application


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
