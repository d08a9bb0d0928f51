"""The dashboard's questions, asked of ``bi`` and of the plain table: median milliseconds side by side.

    python -m benchmarks.bi_questions --rows 5000000 [--days 730] [--keep FOLDER]

Builds a scratch warehouse on the bundled Postgres with the product's own settings (fsync aside), fills
``warehouse.calltouch_sms`` inside the server, counts the marts with the functions that a load calls,
and asks each question as ``warehouse_bi`` over TCP; the plain table is asked by an administrator. A
row takes about 0.6 kB of disk. The folder is removed at the end, unless ``--keep``.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.cluster import Cluster
from dagster_project.warehouse.server.embedded import LOGINS, EmbeddedServer

LAST_DAY = date(2026, 6, 30)
SITES = (101, 102, 103, 104, 105)
GOAL_MS = 100
PATIENCE_MS = 10_000
SCRATCH = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "8GB"}

# Five sites of unequal size; forty templates a site, the first ones frequent; 3 % personal texts;
# 400,000 recipients a site; nine tenths arrive; campaigns by day, codes around the clock.
FILL = """
INSERT INTO warehouse.calltouch_sms
SELECT day, site, md5(concat(day, site, n))::uuid, 1,
    (day + make_interval(secs => 3600 * hour + floor(random() * 3600)))
        AT TIME ZONE 'Europe/Moscow',
    '7916' || person, '+7916' || person, CASE WHEN luck < 0.97 THEN 'RU' ELSE 'KZ' END,
    md5(concat('r', site, person))::uuid, 'delivered', 'Доставлено',
    CASE WHEN end_ < 0.90 THEN 'delivered' WHEN end_ < 0.97 THEN 'failed'
        WHEN day > %(last)s - 7 AND end_ < 0.99 THEN 'pending' ELSE 'undetermined' END,
    CASE WHEN end_ >= 0.90 AND end_ < 0.97 THEN (ARRAY['unreachable', 'invalid_number', 'expired',
        'undeliverable', 'forbidden'])[1 + floor(5 * power(random(), 2))::int] END,
    end_ < 0.97,
    CASE WHEN luck < 0.03 THEN concat('Клиент ', person, ', ваш анализ готов, ждем вас с 9 до 18')
        ELSE concat('Кампания ', template, ': только сегодня скидки на весь ассортимент, ',
            'приходите в магазин или закажите на сайте с доставкой на дом') END,
    CASE WHEN luck < 0.03 THEN md5(concat('rare', site, person))::uuid
        ELSE md5(concat('t', template))::uuid END,
    1 + (template %% 3), n, now(), now(), now()
FROM unnest(%(sites)s::bigint[]) WITH ORDINALITY AS s (site, place),
    generate_series(%(first)s::date, %(until)s::date, '1 day') AS g (at),
    LATERAL (SELECT at::date AS day) AS d,
    LATERAL generate_series(1, (%(a_day)s * (ARRAY[0.4, 0.25, 0.2, 0.1, 0.05])[place])::int) AS n,
    LATERAL (SELECT n AS seed, random() AS luck, random() AS end_,
        lpad(floor(random() * 400000)::text, 7, '0') AS person,
        floor(40 * random() * random())::int AS template,
        (9 + floor(12 * (random() + random()) / 2))::int AS hour) AS dice
"""

DAYS = "sent_on > %(last)s - 30 AND sent_on <= %(last)s"
YEAR_AGO = "sent_on > %(last)s - 394 AND sent_on <= %(last)s - 364"

# Each question: what it asks, of bi, and the same of the plain table.
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    (
        "outcomes by day, 30 days",
        "SELECT day, sum(delivered), sum(failed), sum(pending), sum(undetermined)"
        " FROM bi.messaging_day WHERE vendor = 'calltouch' AND day > %(last)s - 30 GROUP BY 1 ORDER BY 1",
        f"SELECT sent_on, outcome, count(*) FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1, 2",
    ),
    (
        "attempted and final rate by site, 30 days",
        "SELECT account_label, sum(attempted), sum(delivered) / nullif(sum(delivered + failed), 0)"
        " FROM bi.messaging_day WHERE channel = 'sms' AND day > %(last)s - 30 GROUP BY 1",
        "SELECT site_id, count(*), count(*) FILTER (WHERE outcome = 'delivered')::numeric"
        " / nullif(count(*) FILTER (WHERE outcome IN ('delivered', 'failed')), 0)"
        f" FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1",
    ),
    (
        "delivery rate by template, 30 days",
        "SELECT template_label, sum(messages),"
        " (sum(messages) FILTER (WHERE outcome = 'delivered'))::numeric / sum(messages)"
        f" FROM bi.sms_day WHERE {DAYS} GROUP BY 1 HAVING sum(messages) >= 500 ORDER BY 3 LIMIT 10",
        "SELECT template_id, count(*),"
        " (count(*) FILTER (WHERE outcome = 'delivered'))::numeric / count(*)"
        f" FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1 HAVING count(*) >= 500"
        " ORDER BY 3 LIMIT 10",
    ),
    (
        "failure reasons by day, 30 days",
        "SELECT sent_on, reason, sum(messages) FROM bi.sms_day"
        f" WHERE outcome = 'failed' AND {DAYS} GROUP BY 1, 2",
        "SELECT sent_on, reason, count(*) FROM warehouse.calltouch_sms"
        f" WHERE outcome = 'failed' AND {DAYS} GROUP BY 1, 2",
    ),
    (
        "segments by category and country, 30 days",
        f"SELECT category, country, sum(segments) FROM bi.sms_day WHERE {DAYS} GROUP BY 1, 2",
        "SELECT template_id, country, sum(segments) FROM warehouse.calltouch_sms"
        f" WHERE {DAYS} GROUP BY 1, 2",
    ),
    (
        "weekday x hour, 30 days",
        f"SELECT iso_weekday, hour, sum(messages) FROM bi.sms_hour WHERE {DAYS} GROUP BY 1, 2",
        "SELECT extract(isodow FROM sent_on), extract(hour FROM sent_at AT TIME ZONE 'Europe/Moscow'),"
        f" count(*) FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1, 2",
    ),
    (
        "30 days against a year ago, by site and outcome",
        f"SELECT site_id, outcome, sum(messages) FILTER (WHERE {DAYS}),"
        f" sum(messages) FILTER (WHERE {YEAR_AGO}) FROM bi.sms_day"
        f" WHERE ({DAYS}) OR ({YEAR_AGO}) GROUP BY 1, 2",
        f"SELECT site_id, outcome, count(*) FILTER (WHERE {DAYS}),"
        f" count(*) FILTER (WHERE {YEAR_AGO}) FROM warehouse.calltouch_sms"
        f" WHERE ({DAYS}) OR ({YEAR_AGO}) GROUP BY 1, 2",
    ),
    (
        "year over year by month and outcome, all days",
        "SELECT date_trunc('month', day), sum(delivered), sum(failed), sum(undetermined)"
        " FROM bi.messaging_day WHERE vendor = 'calltouch' GROUP BY 1 ORDER BY 1",
        "SELECT date_trunc('month', sent_on), outcome, count(*)"
        " FROM warehouse.calltouch_sms GROUP BY 1, 2",
    ),
    (
        "reach by month and site, all months",
        "SELECT period_start, site_id, recipients, recipients_4plus FROM bi.sms_reach"
        " WHERE category = 'all' AND period = 'month'",
        "SELECT month, site_id, count(*), count(*) FILTER (WHERE n >= 4) FROM (SELECT"
        " date_trunc('month', sent_on) AS month, site_id, recipient, count(*) AS n"
        " FROM warehouse.calltouch_sms GROUP BY 1, 2, 3) r GROUP BY 1, 2",
    ),
    (
        "one template of one site by day, all days",
        "SELECT sent_on, outcome, sum(messages) FROM bi.sms_day WHERE site_id = 101"
        " AND template_id = md5('t7')::uuid GROUP BY 1, 2",
        "SELECT sent_on, outcome, count(*) FROM warehouse.calltouch_sms WHERE site_id = 101"
        " AND template_id = md5('t7')::uuid GROUP BY 1, 2",
    ),
    (
        "data until, gaps, unsettled",
        "SELECT source, account_label, data_until, gap_days, unsettled_days FROM bi.data_until",
        "SELECT site_id, max(sent_on), count(DISTINCT sent_on)"
        " FROM warehouse.calltouch_sms GROUP BY 1",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bi_questions")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="build there, and leave it")
    options = parser.parse_args(arguments)
    with scratch_warehouse(options.keep) as warehouse:
        with warehouse.connect_admin() as connection:
            filled = one(connection, "SELECT EXISTS (SELECT FROM mart.sms_day)")
        if not filled:
            fill(warehouse, options.rows, options.days)
        return report(warehouse)


@contextmanager
def scratch_warehouse(keep: Path | None) -> Iterator[Warehouse]:
    """A migrated warehouse on a server of its own."""
    folder = keep or Path(tempfile.mkdtemp(prefix="warehouse-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    cluster = Cluster(folder.resolve() / "data", extra=SCRATCH)
    passwords = {name: SecretStr(secrets.token_urlsafe(16)) for name in LOGINS}
    secret = folder / "superuser"
    if cluster.exists:
        passwords["postgres"] = SecretStr(secret.read_text())
    else:
        cluster.create(passwords["postgres"].get_secret_value(), sync=False)
        secret.touch(0o600)
        secret.write_text(passwords["postgres"].get_secret_value())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    postmaster = cluster.start(port)
    try:
        warehouse = Warehouse.on_server(EmbeddedServer(folder, postmaster.port, passwords), "bench")
        migrate(warehouse)
        yield warehouse
    finally:
        cluster.stop()
        if keep is None:
            shutil.rmtree(folder)


def fill(warehouse: Warehouse, rows: int, days: int) -> None:
    """Rows month by month, then the marts, counted by the functions that a load calls."""
    begin = LAST_DAY - timedelta(days=days - 1)
    with warehouse.connect_admin() as connection:
        connection.execute("SET synchronous_commit = off; SELECT setseed(0.42)")
        for site in SITES:
            connection.execute(
                "SELECT mart.register_account('calltouch', %s, 'Europe/Moscow')", (str(site),)
            )
        for first, until in months(begin, LAST_DAY):
            started = time.perf_counter()
            connection.execute("SELECT ops.ensure_month('warehouse.calltouch_sms', %s)", (first,))
            values = {
                "first": first,
                "until": until,
                "last": LAST_DAY,
                "sites": list(SITES),
                "a_day": rows / days,
            }
            made = connection.execute(FILL, values).rowcount
            connection.execute(
                "SELECT ops.analyze_months('warehouse.calltouch_sms', ARRAY[%s]::date[])", (first,)
            )
            filled = time.perf_counter()
            count_marts(connection, first, until)
            print(
                f"{first:%Y-%m}: {made:,} rows in {filled - started:.1f} s,"
                f" marts in {time.perf_counter() - filled:.1f} s",
                flush=True,
            )
        connection.execute(
            "VACUUM (ANALYZE) mart.sms_day, mart.sms_hour, mart.sms_reach, mart.messaging_day"
        )


def count_marts(connection: psycopg.Connection[Any], first: date, until: date) -> None:
    of_month = {"first": first, "until": until}
    for site in SITES:
        of_site = {**of_month, "site": site, "account": str(site)}
        connection.execute(
            "INSERT INTO ops.day_state (source, account, day, receipt_id, extraction_id, observed_at,"
            " loaded_at, rows, checksum, settled) SELECT 'calltouch', %(account)s, at::date, 0, 0, now(),"
            " now(), 0, '', at::date <= %(last)s - 7"
            " FROM generate_series(%(first)s::date, %(until)s::date, '1 day') AS g (at)",
            {**of_site, "last": LAST_DAY},
        )
        days = "ARRAY(SELECT generate_series(%(first)s::date, %(until)s::date, '1 day')::date)"
        for statement in (
            "SELECT mart.name_templates(%(site)s, array_agg(published), array_agg(sample)) FROM"
            f" mart.refresh_sms(%(site)s, {days}, 'Europe/Moscow', %(until)s)",
            f"SELECT mart.refresh_messaging('calltouch', %(account)s, {days})",
            "SELECT mart.refresh_month(%(site)s, date_trunc('month', %(first)s::date)::date)",
        ):
            connection.execute(statement, of_site)


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """First and last day of each month's share of these days."""
    while first <= last:
        until = (first.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        yield first, min(until, last)
        first = until + timedelta(days=1)


def report(warehouse: Warehouse) -> int:
    """Print each question's medians; answers how many miss the goal."""
    password = warehouse.logins["warehouse_bi"].get_secret_value()
    reader = {**warehouse.place, "user": "warehouse_bi", "password": password}
    missed = 0
    with warehouse.connect_admin() as admin, psycopg.connect(**reader, autocommit=True) as bi:
        rows = one(admin, "SELECT count(*) FROM warehouse.calltouch_sms")
        sizes = "SELECT count(*), pg_size_pretty(pg_total_relation_size('mart.sms_day')) FROM mart.sms_day"
        print(f"\n{rows:,} SMS; mart.sms_day: {admin.execute(sizes).fetchone()}\n")
        print(f"{'question':<50}{'bi ms':>9}{'plain ms':>12}{'ratio':>9}")
        for question, of_bi, of_table in QUESTIONS:
            fast = median_ms(bi, of_bi, 7)
            plain = median_ms(admin, of_table, 3)
            missed += fast >= GOAL_MS
            print(f"{question:<50}{fast:>9.1f}{plain:>12.0f}{plain / fast:>8.0f}x", flush=True)
    print(f"\n{len(QUESTIONS) - missed} of {len(QUESTIONS)} under {GOAL_MS} ms at the median")
    return missed


def median_ms(
    connection: psycopg.Connection[Any], question: str, times: int, last: date = LAST_DAY
) -> float:
    """Median over ``times`` askings; a question that takes ten seconds is asked once."""
    taken: list[float] = []
    while len(taken) < times and sum(taken) < PATIENCE_MS:
        started = time.perf_counter()
        connection.execute(question, {"last": last}).fetchall()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


def one(connection: psycopg.Connection[Any], question: str) -> Any:
    row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    raise SystemExit(main())
