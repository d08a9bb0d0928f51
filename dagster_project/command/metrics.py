"""``warehouse metrics``: how things stand, in Prometheus' text format, printed or served.

Everything is read from Postgres when it is asked for: one process tells of the whole fleet, and may
run anywhere. A scrape that cannot read answers 503, so that the target shows as down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import click
import dagster as dg

from dagster_project import clock
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.feeds import FEEDS
from dagster_project.model import ONE_DAY
from dagster_project.observability import Metric, exposition
from dagster_project.orchestration import services
from dagster_project.orchestration.instance import opened_instance
from dagster_project.settings import Settings
from dagster_project.warehouse import measures
from dagster_project.warehouse.ledger import Connection

PATH = "/metrics"
UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


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

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._settings = settings
        self._instance = instance
        self._lock = Lock()

    def __call__(self) -> str:
        with (
            self._lock,
            services.warehouse().connect(
                what="metrics", autocommit=True, statement_timeout=20
            ) as connection,
        ):
            found = [
                *standing_metrics(connection, self._settings),
                *last_day_metrics(connection),
                *point_metrics(connection, self._settings),
                *run_metrics(self._instance),
            ]
        return exposition(found)


@contextmanager
def _reader() -> Iterator[Reader]:
    settings = services.settings()
    with opened_instance(settings, services.ready_warehouse()) as instance:
        yield Reader(settings, instance)


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
            f"{host}:{port} cannot be listened on.", way_out="use --port 0 for a free port."
        ) from error
    click.echo(f"metrics: http://{host}:{server.server_address[1]}{PATH}  (Ctrl-C ends it)")
    with server:
        server.serve_forever()


def standing_metrics(connection: Connection, settings: Settings) -> list[Metric]:
    """What stands, by account: those that are configured, and those that were ever loaded.

    It needs no vendor's credentials; without them a site's days are those of its source's zone. An
    account that was never loaded has a lag alone.
    """
    lag = Metric("warehouse_lag_days", "Ended days since the newest loaded one; 0: up to date.")
    gaps = Metric("warehouse_gap_days", "Days without a receipt since the first loaded one.")
    rows = Metric("warehouse_rows", "Rows that stand.")
    unsettled = Metric("warehouse_unsettled_days", "Loaded days that may still change.")
    held = Metric("warehouse_held_days", "Days whose newer answer was held back.")
    last = Metric("warehouse_last_load_timestamp_seconds", "When a day was loaded last.")
    rejected = Metric("warehouse_rejected_records", "Records that could not be loaded, and stand.")
    stands = measures.stands(connection)
    for feed in FEEDS:
        zones = {account.label: account.time_zone for account in feed.accounts(settings)}
        for label in zones | {label: None for source, label in stands if source == feed.source}:
            who = {"source": feed.source, "account": label}
            due = clock.today(zones.get(label) or feed.time_zone(settings)) - ONE_DAY
            one = stands.get((feed.source, label))
            if one is None:
                lag.add((due - settings.start_date).days + 1, **who)
                continue
            lag.add(max((due - one.last_day).days, 0), **who)
            expected = (max(due, one.last_day) - one.first_day).days + 1
            gaps.add(expected - one.days, **who)
            rows.add(one.rows, **who)
            unsettled.add(one.unsettled, **who)
            held.add(one.held, **who)
            last.add(one.loaded_at.timestamp(), **who)
    for source, label, count in measures.rejects(connection):
        rejected.add(count, source=source, account=label)
    return [lag, gaps, rows, unsettled, held, last, rejected]


def last_day_metrics(connection: Connection) -> list[Metric]:
    """What the last 24 hours brought."""
    windows = Metric("warehouse_windows_1d", "Windows asked of vendors in 24 hours, by outcome.")
    requests = Metric("warehouse_requests_1d", "HTTP requests sent in 24 hours, retries included.")
    points = Metric("warehouse_points_1d", "API points that they cost.")
    limited = Metric("warehouse_answers_429_1d", "Answers of 429 in 24 hours: should be 0.")
    rows = Metric("warehouse_rows_1d", "Rows of the loads of 24 hours, by what became of them.")
    hold = Metric("warehouse_limiter_hold_seconds", "For how long yet a 429 holds a vendor's host.")
    for source, account, outcome, count, sent, cost, refused in measures.asked(connection):
        who = {"source": source, "account": account, "outcome": outcome}
        windows.add(count, **who)
        requests.add(sent, **who)
        points.add(cost, **who)
        limited.add(refused, **who)
    for source, account, *counts in measures.loaded(connection):
        for change, count in zip(measures.CHANGES, counts, strict=True):
            rows.add(count, source=source, account=account, change=change)
    for limiter, seconds in measures.holds(connection):
        hold.add(seconds, limiter=limiter)
    return [windows, requests, points, limited, rows, hold]


def point_metrics(connection: Connection, settings: Settings) -> list[Metric]:
    """The budget of each Calltouch site's present day."""
    used = Metric("warehouse_points_spent", "API points spent on the account's present day.")
    bound = Metric("warehouse_points_budget", "API points that may be spent a day, if bounded.")
    books = measures.spent(connection)
    for site in settings.calltouch.sites if settings.calltouch else ():
        label = str(site.site_id)
        today = clock.today(site.time_zone)
        used.add(books.get(("calltouch", label, today), 0), source="calltouch", account=label)
        if site.daily_points is not None:
            bound.add(site.daily_points, source="calltouch", account=label)
    return [used, bound]


def run_metrics(instance: dg.DagsterInstance) -> list[Metric]:
    """Runs of Dagster: those under way, and those that ended in 24 hours."""
    now = Metric("warehouse_runs", "Runs under way, by status.")
    ended = Metric("warehouse_runs_1d", "Runs that ended in 24 hours, by status.")
    since = datetime.now(UTC) - timedelta(days=1)
    for names, metric, after in ((UNDER_WAY, now, None), (ENDED, ended, since)):
        for name in names:
            wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus(name)], updated_after=after)
            metric.add(instance.get_runs_count(wanted), status=name.lower())
    return [now, ended]
