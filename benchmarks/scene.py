"""A scratch warehouse and a static vendor for the benchmarks: made, used, removed; loopback alone.

The server is the product's own embedded Postgres with its own settings, durable as always, under a
home of its own. CPU seconds of Postgres are the postmaster's and those of all its children, ended
ones included, so that neighbours on the machine do not show.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from dagster_project.config.settings import load_settings
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server import embedded

ROOT = Path(__file__).resolve().parents[1]
SITE = 101
FIRST_DAY = date(2024, 4, 1)
ROWS_A_PAGE = 10_000


@dataclass
class Run:
    """One run of something: wall and CPU seconds (of the process, of Postgres), peak memory."""

    seconds: float
    cpu: float = 0.0
    server_cpu: float = 0.0
    peak_mb: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


class StaticVendor:
    """``benchmarks.vendor`` in a process of its own; ends with this one, however that ends."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.vendor", *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def set(self, **settings: Any) -> dict[str, int]:
        """Change how it answers; tells what it counted since the last time."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/_set", json.dumps(settings).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return dict(json.load(answer))

    def warm(self, first: date, last: date, pages: int) -> None:
        """Have each page made once, so that it is served as it is from then on."""
        for number in range(1, pages + 1):
            asked = {
                "dateFrom": f"{first:%d-%m-%Y} 00:00:00",
                "dateTo": f"{last:%d-%m-%Y} 23:59:59",
                "pageOfResult": number,
            }
            request = urllib.request.Request(  # noqa: S310
                self.url, json.dumps(asked).encode(), {"SiteId": str(SITE)}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                answer.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self.process.kill()


class Scene:
    """The scratch home, its server, and the environment that points the product there."""

    def __init__(self, home: Path, vendor_env: dict[str, str]) -> None:
        self.home = home
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CALLTOUCH", "T", "WARE"))},
            "WAREHOUSE_HOME": str(home),
            "WAREHOUSE_START_DATE": "2019-01-01",
            "PII_RETENTION_DAYS": "36500",  # rows as received, of whatever year
            "PYTHONDONTWRITEBYTECODE": "",  # modules are compiled once, as where it is installed
            **vendor_env,
        }
        self.settings = load_settings(self.env, dotenv=None)
        self.warehouse = Warehouse.open(self.settings)
        migrate(self.warehouse)
        self.postmaster = psutil.Process(_postmaster_of(home))

    def admin(self, database: str | None = None) -> Any:
        return self.warehouse.connect_admin(database=database)

    def server_cpu(self) -> float:
        """CPU seconds that the server has used since it began."""
        total = 0.0
        for process in [self.postmaster, *self.postmaster.children()]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                if process == self.postmaster:
                    total += times.children_user + times.children_system
        return total

    def forget_loads(self) -> None:
        """No row, no receipt, no stored response; then a checkpoint, so that each run begins alike."""
        with self.admin() as connection:
            connection.execute(
                "TRUNCATE warehouse.calltouch_sms, raw.response, ops.day_state, ops.load_receipt,"
                " ops.extraction, ops.rejected_record CASCADE"
            )
            tables = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname = 'mart' AND tablename NOT IN ('source_channel', 'date_day')"
            ).fetchall()
            if tables:
                connection.execute("TRUNCATE " + ", ".join(name for (name,) in tables) + " CASCADE")
            connection.commit()
        self.checkpoint()

    def checkpoint(self) -> None:
        with self.admin() as connection:
            connection.execute("CHECKPOINT")

    def one(self, query: str, *values: Any) -> Any:
        with self.admin() as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None
        return row[0]


def _postmaster_of(home: Path) -> int:
    found = next(home.rglob("postmaster.pid"))
    return int(found.read_text().split()[0])


class Worker:
    """A child process that does what it is told in lines of JSON, and answers in such."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"the worker {self.process.args!r} ended")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def measured(scene: Scene, worker: Worker, **order: Any) -> Run:
    """One order to a worker, with what the server spent meanwhile."""
    before = scene.server_cpu()
    told = worker.ask(**order)
    settle()
    return Run(
        told.pop("seconds"),
        told.pop("cpu"),
        scene.server_cpu() - before,
        told.pop("peak_mb"),
        told,
    )


@contextmanager
def scene(vendor_env: dict[str, str]) -> Iterator[Scene]:
    """A migrated scratch warehouse, stopped and removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="warehouse-bench-")).resolve()
    home.chmod(0o711)
    try:
        yield Scene(home, vendor_env)
    finally:
        _end_children()  # one that still runs would start the server again
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def _end_children() -> None:
    """End the programs that a part left running; the server is stopped in its own way."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() != "postgres":
                child.kill()


@contextmanager
def sms_scene(
    pages_a_day: int, requests_a_second: float = 1000
) -> Iterator[tuple[Scene, StaticVendor]]:
    """A scratch warehouse beside the static vendor."""
    vendor = StaticVendor("--pages-a-day", str(pages_a_day))
    try:
        with scene(calltouch_env(vendor.url, requests_a_second)) as made:
            yield made, vendor
    finally:
        vendor.close()


def calltouch_env(url: str, requests_a_second: float) -> dict[str, str]:
    return {
        "CALLTOUCH_BASE_URL": url,
        "CALLTOUCH_ACCESS_TOKEN": "bench",
        "CALLTOUCH_SITE_IDS": str(SITE),
        "CALLTOUCH_REQUESTS_PER_SECOND": str(requests_a_second),
    }


def product(scene: Scene, **more: str) -> Worker:
    """A process of the product with its definitions loaded; see ``benchmarks.product``."""
    return Worker([sys.executable, "-m", "benchmarks.product"], {**scene.env, **more})


def settle() -> None:
    """Let the backends of the last run end, and the postmaster count what they used."""
    time.sleep(0.3)
