"""The product as a worker of the benchmarks: runs of real Dagster assets in this process.

Orders are lines of JSON: ``{"do": "load", "source": …, "first": …, "last": …, "bare": false}``. The
answer tells the seconds from the run's launch to its end (start-up excluded), this process's CPU
seconds and peak memory, and the receipts added up. ``bare`` leaves out templates and marts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any
from uuid import uuid4

import dagster as dg

from dagster_project.feeds import FEEDS
from dagster_project.model.batch import RowEncoder
from dagster_project.model.copy_binary import NULL, encode
from dagster_project.model.feed import Feed
from dagster_project.model.window import each_day
from dagster_project.orchestration import build, launch, report
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.nights import plan_night
from dagster_project.orchestration.storage import make_storage
from dagster_project.pipeline import opening, services
from dagster_project.vendors.calltouch.context import NO_TEXT, RowContext, TemplateMemory
from dagster_project.vendors.calltouch.rows import to_batch
from dagster_project.vendors.calltouch.segments import segments_of


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class SegmentsAlone(TemplateMemory):
    """Leaves the template NULL, as a load without marts would."""

    def __missing__(self, levelled: bytes) -> bytes:
        self[levelled] = (
            2 * NULL
            if levelled == NO_TEXT
            else NULL + encode("smallint", segments_of(levelled.decode()))
        )
        return self[levelled]


def without_templates(feed: Feed) -> Feed:
    if feed.source != "calltouch":
        return feed

    def encoder(secret: str) -> RowEncoder:
        context = RowContext.from_secret(secret)
        context.templates = SegmentsAlone(context.keys.template)
        return partial(to_batch, context=context)

    return replace(feed, row_encoder=encoder)


class Product:
    """Definitions and instance, loaded once."""

    def __init__(self) -> None:
        self.settings = services.settings()
        self.instance = opened_instance(self.settings, services.ready_warehouse(make_storage))
        self.feeds = {feed.source: feed for feed in FEEDS}
        self.definitions = build.definitions_of(self.settings)
        self.is_bare = False

    def strip(self) -> None:
        """Leave out templates and marts, from now on."""
        self.feeds = {source: without_templates(feed) for source, feed in self.feeds.items()}
        build.FEEDS = tuple(self.feeds.values())  # type: ignore[misc]
        opening.marts_keeper = lambda feed, settings: lambda *_: None  # type: ignore[assignment]
        opening.refresh_stale_marts = lambda *_, **__: 0  # type: ignore[assignment]
        self.definitions = build.definitions_of(self.settings)
        self.is_bare = True

    def load(self, order: dict[str, Any]) -> dict[str, Any]:
        feed = self.feeds[order["source"]]
        days = list(each_day(*map(date.fromisoformat, (order["first"], order["last"]))))
        if order.get("bare") and not self.is_bare:
            self.strip()
        told: Counter[str] = Counter()
        with ExitStack() as stack:
            stack.enter_context(report.listen(lambda chunk: _add(told, chunk.receipts)))
            begun, cpu = time.perf_counter(), used()
            success = launch.launch(
                self.definitions,
                self.instance,
                feed,
                days,
                run_id=str(uuid4()),
                ask=True,
                config={},
            )
            seconds, cpu = time.perf_counter() - begun, used() - cpu
        return {"seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "success": success, **told}

    def tick(self, name: str) -> dict[str, Any]:
        """One tick of a sensor, or what a night is due to ask."""
        begun = time.perf_counter()
        if name == "due":
            plan_night(self.feeds["calltouch"], self.settings, services.warehouse())
        else:
            sensor = self.definitions.resolve_sensor_def(name)
            with dg.build_sensor_context(self.instance, sensor_name=name) as context:
                sensor.evaluate_tick(context)
        return {"seconds": time.perf_counter() - begun}


def _add(told: Counter[str], receipts: list[Any]) -> None:
    for receipt in receipts:
        told["days"] += 1
        told["inserted"] += receipt.rows_inserted
        told["updated"] += receipt.rows_updated
        told["deleted"] += receipt.rows_deleted
        told["unchanged"] += receipt.rows_unchanged


def main() -> None:
    product = Product()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "profile":
            import cProfile
            import pstats

            profile = cProfile.Profile()
            profile.enable()
            answer = product.load(order)
            profile.disable()
            pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(35)
        elif order["do"] == "tick":
            answer = product.tick(order["sensor"])
        else:
            answer = product.load(order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
