"""Parts ``load`` and ``rerun``: a first load beside COPY and dlt, and the same days asked for again.

Runs of all ways are interleaved. Each begins with empty tables after a checkpoint; the product's
include Dagster's events, stored responses, receipts, keys, E.164, pseudonyms and the proof that the
answer is whole. The limit is COPY of the same rows, prepared as CSV, into the same table.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from statistics import median
from typing import Any

from benchmarks import limits
from benchmarks.scene import (
    FIRST_DAY,
    ROOT,
    ROWS_A_PAGE,
    Run,
    Scene,
    StaticVendor,
    Worker,
    measured,
    product,
    sms_scene,
)
from benchmarks.table import Line, of_runs, seconds, spread
from dagster_project.warehouse.postgres_url import write_url

PAGES_A_DAY = 10
PEER_PYTHON = ROOT / ".venv-bench/bin/python"
LOCK = ROOT / "benchmarks/requirements.lock"
PEERS = (("arrow", 2.5), ("adbc", 2.5), ("tuned", 5.0), ("merge", None), ("default", None))


def days_of(rows: int) -> tuple[date, date]:
    days = max(1, rows // ROWS_A_PAGE // PAGES_A_DAY)
    return FIRST_DAY, FIRST_DAY + timedelta(days=days - 1)


def load(scene: Scene, worker: Worker, span: tuple[date, date], *, bare: bool = False) -> Run:
    run = measured(
        scene,
        worker,
        do="load",
        source="calltouch",
        first=str(span[0]),
        last=str(span[1]),
        bare=bare,
    )
    if not run.facts["success"]:
        raise RuntimeError("the load failed; the reason stands above")
    return run


def first_load(rows: int, rounds: int, peer_rows: int, peer_rounds: int) -> Iterator[Line]:
    """The whole job, bare and full, beside its limits and dlt."""
    span, peer_span = days_of(rows), days_of(peer_rows)
    runs: dict[str, list[Run]] = defaultdict(list)
    with sms_scene(PAGES_A_DAY) as (scene, vendor), product(scene) as full, product(scene) as bare:
        vendor.warm(*span, rows // ROWS_A_PAGE)
        load(scene, full, (FIRST_DAY, FIRST_DAY))
        load(scene, bare, (FIRST_DAY, FIRST_DAY), bare=True)
        text, binary = scene.home / "rows.csv", scene.home / "rows.bin"
        for number in range(rounds):
            for name, worker in (("bare", bare), ("full", full)):
                scene.forget_loads()
                runs[name].append(load(scene, worker, span, bare=name == "bare"))
            if not number:
                limits.prepare(scene, text)
                limits.prepare(scene, binary, binary=True)
            for name, path in (("csv", text), ("binary", binary)):
                scene.forget_loads()
                runs[name].append(limits.copy_in(scene, path, binary=name == "binary"))
            if number < peer_rounds:
                for mode, _ in PEERS:
                    runs[mode].append(dlt(scene, vendor, mode, peer_span))
    scale = peer_rows / rows
    what = f"first load, {rows:,} SMS"
    yield of_runs(f"{what}, no templates, no marts", runs["bare"], runs["csv"], "COPY of CSV", 1.05)
    yield of_runs(f"{what}, templates and marts", runs["full"], runs["csv"], "COPY of CSV", 0.9)
    yield of_runs(f"{what}, no templates, no marts", runs["bare"], runs["binary"], "COPY binary")
    for mode, goal in PEERS:
        if runs[mode]:
            yield of_runs(what, runs["bare"], runs[mode], f"dlt {mode}", goal, scale=scale)


def dlt(scene: Scene, vendor: StaticVendor, mode: str, span: tuple[date, date]) -> Run:
    """One run of dlt into a database of its own."""
    prepare_peer()
    with scene.admin("postgres") as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE IF EXISTS peer WITH (FORCE)")
        connection.execute("CREATE DATABASE peer")
        connection.execute("CHECKPOINT")
    login = scene.warehouse.admin
    url = write_url("postgresql", scene.warehouse.place, login.user, login.secret, "peer")
    folder = scene.home / "dlt"
    before = scene.server_cpu()
    ended = subprocess.run(
        [
            PEER_PYTHON,
            "benchmarks/dlt_peer.py",
            mode,
            vendor.url,
            url,
            *map(str, span),
            folder / mode,
        ],
        cwd=ROOT,
        env={**os.environ, "DLT_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise RuntimeError(f"dlt {mode} failed: {ended.stderr[-2000:]}")
    subprocess.run(["rm", "-rf", folder], check=True)
    told: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return Run(told["seconds"], told["cpu"], scene.server_cpu() - before, told["peak_mb"])


def prepare_peer() -> None:
    """The peers' environment, from their hashed lock file."""
    if PEER_PYTHON.exists():
        return
    print("installing dlt into .venv-bench …", flush=True)
    subprocess.run(["python3", "-m", "venv", PEER_PYTHON.parents[1]], check=True)
    install = [PEER_PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK]
    subprocess.run(install, check=True)


def rerun(rows: int, rounds: int) -> Iterator[Line]:
    """The same days again: the same bytes, the same rows in another order, 2 % of the statuses changed."""
    span = days_of(rows)
    runs: dict[str, list[Run]] = defaultdict(list)
    with sms_scene(PAGES_A_DAY) as (scene, vendor), product(scene) as worker:
        load(scene, worker, (FIRST_DAY, FIRST_DAY))
        version = 0
        for _ in range(rounds):
            scene.forget_loads()
            runs["first"].append(load(scene, worker, span))
            scene.checkpoint()
            runs["same"].append(load(scene, worker, span))
            scene.checkpoint()
            vendor.set(shuffled=True)
            runs["shuffled"].append(load(scene, worker, span))
            vendor.set(shuffled=False)
            scene.checkpoint()
            version = 1 - version
            vendor.set(version=version)
            runs["changed"].append(_changed(scene, worker, span))
    first = runs["first"]
    yield _of_unchanged(rows, "nothing changed, the same bytes", first, runs["same"], 0.6)
    what = "nothing changed, another order and other pages"
    yield _of_unchanged(rows, what, first, runs["shuffled"], 0.8)
    yield from _of_changed(rows, first, runs["changed"])


def _of_unchanged(rows: int, what: str, first: list[Run], again: list[Run], goal: float) -> Line:
    written = sum(_written(run) for run in again)
    ratio = seconds(again) / seconds(first)
    return Line(
        f"rerun of {rows:,} SMS, {what}",
        f"{seconds(again):.2f} s, {written} rows written",
        f"first load: {seconds(first):.2f} s",
        f"{ratio:.2f} of it",
        f"<= {goal}; 0 rows",
        ratio <= goal and written == 0,
        spread([run.seconds for run in again]),
        f"{median(run.cpu for run in again):.1f} + {median(run.server_cpu for run in again):.1f} s",
        f"{max(run.peak_mb for run in again):.0f} MB",
    )


def _changed(scene: Scene, worker: Worker, span: tuple[date, date]) -> Run:
    """A rerun with changes: what it wrote by the table's own books."""
    before, lsn = _books(scene), scene.one("SELECT pg_current_wal_insert_lsn()")
    run = load(scene, worker, span)
    run.facts["wal"] = int(scene.one("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", lsn))
    after = _books(scene)
    run.facts["updates"], run.facts["hot"] = after[0] - before[0], after[1] - before[1]
    return run


def _books(scene: Scene) -> tuple[int, int]:
    with scene.admin() as connection:
        row = connection.execute(
            "SELECT sum(n_tup_upd + n_tup_ins + n_tup_del)::bigint, sum(n_tup_hot_upd)::bigint"
            " FROM pg_stat_user_tables WHERE relname LIKE 'calltouch_sms_2%'"
        ).fetchone()
    return int(row[0]), int(row[1])


def _written(run: Run) -> int:
    return sum(int(run.facts[name]) for name in ("inserted", "updated", "deleted"))


def _of_changed(rows: int, first: list[Run], changed: list[Run]) -> Iterator[Line]:
    told = changed[-1].facts
    due = _due(rows)
    ratio = seconds(changed) / seconds(first)
    yield Line(
        f"rerun of {rows:,} SMS, 2 % of the statuses changed",
        f"{seconds(changed):.2f} s",
        f"first load: {seconds(first):.2f} s",
        f"{ratio:.2f} of it",
        spread=spread([run.seconds for run in changed]),
        cpu=f"{median(r.cpu for r in changed):.1f} + {median(r.server_cpu for r in changed):.1f} s",
        memory=f"{max(run.peak_mb for run in changed):.0f} MB",
    )
    yield Line(
        "rows written by it, as Postgres counts them",
        f"{told['updates']:,}, {told['hot'] / max(told['updates'], 1):.0%} of them HOT",
        f"rows that changed: {due:,}",
        "equal" if told["updates"] == due else "DIFFERENT",
        "equal",
        told["updates"] == due == _written(changed[-1]),
        f"{told['wal'] / max(told['updates'], 1):,.0f} bytes of WAL a row",
    )


def _due(rows: int) -> int:
    """Rows that differ between the vendor's two versions, by reading its pages."""
    from benchmarks.vendor import DRAWN, DrawnPage

    pages = min(DRAWN, PAGES_A_DAY)
    differing = sum(
        sum(
            a != b
            for a, b in zip(*(_rows(DrawnPage(n, version)) for version in (0, 1)), strict=True)
        )
        for n in range(pages)
    )
    return differing * (rows // ROWS_A_PAGE // pages)


def _rows(page: Any) -> list[Any]:
    return list(json.loads(b"[" + page.bytes.tobytes() + b"]"))
