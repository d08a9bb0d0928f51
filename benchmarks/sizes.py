"""Parts ``memory`` and ``scale``: peak memory by rows of a run, and a day's load by rows that stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from statistics import median

from benchmarks.first_load import PAGES_A_DAY, load
from benchmarks.scene import FIRST_DAY, ROWS_A_PAGE, Run, Scene, product, sms_scene
from benchmarks.table import Line, seconds, spread

MOST_MB = 250
YEARS = 5
STANDING_SITE = 202

# What another site has loaded in five years, made set-based inside the server.
FILL = """
INSERT INTO warehouse.calltouch_sms
SELECT day, %(site)s, md5(concat(day, n))::uuid, 1, day + make_interval(secs => n %% 86400),
    '7916' || n, '+7916' || n, 'RU', md5(n::text)::uuid, 'delivered', 'Доставлено', 'delivered', NULL,
    true, 'Новая коллекция уже в магазинах, приходите за подарком с 9 до 21 часов', md5('t')::uuid, 2,
    n, now(), now(), now()
FROM generate_series(%(first)s::date, %(until)s::date, '1 day') AS g (at),
    LATERAL (SELECT at::date AS day) AS d, generate_series(1, %(a_day)s) AS n
"""


def memory(largest: int) -> Iterator[Line]:
    """Peak resident memory of a fresh process that loads so many rows in one run."""
    peaks: dict[int, Run] = {}
    with sms_scene(PAGES_A_DAY) as (scene, _):
        for rows in (100_000, 1_000_000, largest):
            scene.forget_loads()
            days = rows // ROWS_A_PAGE // PAGES_A_DAY
            with product(scene) as worker:
                peaks[rows] = load(scene, worker, (FIRST_DAY, FIRST_DAY + timedelta(days=days - 1)))
    smallest = peaks[100_000].peak_mb
    for rows, run in peaks.items():
        yield Line(
            f"peak resident memory of a run, {rows:,} SMS",
            f"{run.peak_mb:.0f} MB",
            f"100,000 SMS: {smallest:.0f} MB",
            f"{run.peak_mb / smallest:.2f} times",
            f"<= {MOST_MB} MB",
            run.peak_mb <= MOST_MB,
            "",
            f"{run.cpu:.1f} + {run.server_cpu:.1f} s",
            f"{run.peak_mb:.0f} MB",
        )


def scale(standing: int, rounds: int) -> Iterator[Line]:
    """One day of 100,000 SMS into an empty warehouse, and into one that holds five years."""
    runs: dict[str, list[Run]] = defaultdict(list)
    days = [FIRST_DAY + timedelta(days=n) for n in range(2 * rounds + 1)]
    with sms_scene(PAGES_A_DAY) as (scene, _), product(scene) as worker:
        load(scene, worker, (days[0], days[0]))
        for _ in range(rounds):
            scene.forget_loads()
            runs["empty"].append(load(scene, worker, (days[0], days[0])))
        scene.forget_loads()
        fill(scene, standing)
        for day in days[1 : rounds + 1]:
            scene.checkpoint()
            runs["full"].append(load(scene, worker, (day, day)))
    empty, full = runs["empty"], runs["full"]
    ratio = seconds(full) / seconds(empty)
    yield Line(
        f"a day of {PAGES_A_DAY * ROWS_A_PAGE:,} SMS beside {standing:,} in {12 * YEARS} months",
        f"{seconds(full):.2f} s",
        f"into an empty warehouse: {seconds(empty):.2f} s",
        f"{ratio:.2f} of it (CPU {_cpu(full) / _cpu(empty):.2f})",
        "<= 1.1",
        ratio <= 1.1,
        f"{spread([r.seconds for r in full])} / {spread([r.seconds for r in empty])}",
        f"{median(r.cpu for r in full):.1f} + {median(r.server_cpu for r in full):.1f} s",
        f"{max(r.peak_mb for r in full):.0f} MB",
    )


def fill(scene: Scene, rows: int) -> None:
    """Five years of another site, spread evenly, that end with the month of the days to be loaded."""
    number_of_month = 12 * FIRST_DAY.year + FIRST_DAY.month - 12 * YEARS
    first = date(number_of_month // 12, number_of_month % 12 + 1, 1)
    with scene.admin() as connection:
        connection.autocommit = True
        connection.execute("SET synchronous_commit = off")
        for number in range(12 * YEARS):
            month = date(
                first.year + (first.month - 1 + number) // 12,
                (first.month - 1 + number) % 12 + 1,
                1,
            )
            until = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
            connection.execute("SELECT ops.ensure_month('warehouse.calltouch_sms', %s)", (month,))
            connection.execute(
                FILL,
                {
                    "site": STANDING_SITE,
                    "first": month,
                    "until": until,
                    "a_day": rows // (12 * YEARS) // until.day,
                },
            )
        connection.execute("VACUUM (ANALYZE) warehouse.calltouch_sms")


def _cpu(runs: list[Run]) -> float:
    return median(run.cpu + run.server_cpu for run in runs)
