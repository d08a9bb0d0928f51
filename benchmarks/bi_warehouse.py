"""A scratch warehouse with two years of SMS, filled inside the server, for ``benchmarks.bi_questions``.

Rows month by month, the marts by the functions that a load calls; then what a warehouse of that age has
beside them: campaigns, receipts of every load, months held against the vendor's, prices.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.marts import ALL_SITES
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.cluster import Cluster
from dagster_project.warehouse.server.embedded import LOGINS, EmbeddedServer

LAST_DAY = date(2026, 6, 30)
SITES = (101, 102, 103, 104, 105)
LOADS_A_DAY = 8
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

REFRESH_MONTH = "SELECT mart.refresh_month(%(site)s, date_trunc('month', %(first)s::date)::date)"
# Five campaigns of eight templates each.
CAMPAIGNS = """
SELECT mart.label_templates(array_agg(template_id), array_agg(NULL::text), array_agg(NULL::text),
    array_agg('campaign ' || place % 5))
FROM (SELECT template_id, row_number() OVER (ORDER BY template_id) AS place FROM (
    SELECT DISTINCT template_id FROM mart.template WHERE masked_text LIKE 'Кампания%') t) numbered
"""
# What a warehouse of that age has beside its rows: receipts of every load, some after the day was settled;
# months that were held against the vendor's; prices.
LEDGER = (
    "INSERT INTO ops.account_start SELECT 'calltouch', account, min(day) FROM ops.day_state GROUP BY 2"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO ops.load_receipt (extraction_id, source, account, day, is_replay, rows_received,"
    " rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected, checksum, observed_at,"
    " code_version, loaded_at, settled) SELECT 0, source, account, day, false, 1000,"
    " CASE n WHEN 1 THEN 1000 ELSE 0 END, CASE WHEN n < 8 OR random() < 0.02 THEN 10 ELSE 0 END, 0, 990, 0,"
    " '', day + n, '', day + n, n >= 7 FROM ops.day_state, generate_series(1, %(loads)s) AS n"
    " ORDER BY day, n",
    "UPDATE ops.day_state s SET receipt_id = r.receipt_id FROM (SELECT account, day, max(receipt_id)"
    " AS receipt_id FROM ops.load_receipt GROUP BY 1, 2) r WHERE r.account = s.account AND r.day = s.day",
    "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on, newest_receipt_id,"
    " outcome, figures, requests, points, code_version) SELECT source, account,"
    " date_trunc('month', day)::date, now(), current_date, max(receipt_id), 'differs',"
    " '{\"records\": [1000, 999]}', 1, 0, '' FROM ops.day_state GROUP BY 1, 2, 3",
    "INSERT INTO mart.sms_price (vendor, account, country, per, price, valid_from, currency) VALUES"
    " ('calltouch', NULL, NULL, 'segment', 3.5, '2020-01-01', 'RUB'),"
    " ('calltouch', NULL, 'KZ', 'segment', 12.25, '2020-01-01', 'RUB'),"
    " ('calltouch', '102', NULL, 'message', 4, '2020-01-01', 'RUB')",
    "VACUUM (ANALYZE) ops.load_receipt, ops.day_state, mart.sms_day, mart.sms_hour, mart.sms_reach,"
    " mart.messaging_day, mart.sms_frequency, mart.sms_template_hour, mart.sms_price, mart.template",
)


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
        # Each row throws its own dice: remembered by number, they would fall alike on every day.
        connection.execute("SET synchronous_commit = off; SET enable_memoize = off")
        connection.execute("SELECT setseed(0.42)")
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
            add_days(connection, first, until)
            count_marts(connection, first, until)
            if first == begin:
                connection.execute(CAMPAIGNS)
                count_marts(connection, first, until)
            print(
                f"{first:%Y-%m}: {made:,} rows in {filled - started:.1f} s,"
                f" marts in {time.perf_counter() - filled:.1f} s",
                flush=True,
            )


def add_days(connection: psycopg.Connection[Any], first: date, until: date) -> None:
    connection.execute(
        "INSERT INTO ops.day_state (source, account, day, receipt_id, extraction_id, observed_at,"
        " loaded_at, rows, checksum, settled) SELECT 'calltouch', site::text, at::date, 0, 0, now(),"
        " now(), 0, '', at::date <= %(last)s - 7 FROM unnest(%(sites)s::bigint[]) AS site,"
        " generate_series(%(first)s::date, %(until)s::date, '1 day') AS g (at)",
        {"first": first, "until": until, "last": LAST_DAY, "sites": list(SITES)},
    )


def count_marts(connection: psycopg.Connection[Any], first: date, until: date) -> None:
    of_month = {"first": first, "until": until}
    for site in SITES:
        of_site = {**of_month, "site": site, "account": str(site)}
        days = "ARRAY(SELECT generate_series(%(first)s::date, %(until)s::date, '1 day')::date)"
        for statement in (
            "SELECT mart.name_templates(%(site)s, array_agg(published), array_agg(sample)) FROM"
            f" mart.refresh_sms(%(site)s, {days}, 'Europe/Moscow', %(until)s)",
            f"SELECT mart.refresh_messaging('calltouch', %(account)s, {days})",
            REFRESH_MONTH,
        ):
            connection.execute(statement, of_site)
    connection.execute(REFRESH_MONTH, {**of_month, "site": ALL_SITES})


def add_ledger(warehouse: Warehouse) -> None:
    """Once: campaigns, receipts, compared months and prices, and what is counted over all sites."""
    with warehouse.connect_admin() as connection:
        connection.autocommit = True
        if one(connection, "SELECT EXISTS (SELECT FROM ops.load_receipt)"):
            return
        connection.execute("SELECT setseed(0.42)")
        for statement in LEDGER:
            connection.execute(statement, {"loads": LOADS_A_DAY})


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """First and last day of each month's share of these days."""
    while first <= last:
        until = (first.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        yield first, min(until, last)
        first = until + timedelta(days=1)


def one(connection: psycopg.Connection[Any], question: str) -> Any:
    row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]
