"""The dashboard's questions, asked of ``bi`` and of the plain table: median milliseconds side by side.

    python -m benchmarks.bi_questions --rows 5000000 [--days 730] [--keep FOLDER]

Builds a scratch warehouse on the bundled Postgres with the product's own settings (fsync aside), fills
``warehouse.calltouch_sms`` inside the server, counts the marts with the functions that a load calls,
and asks each question as ``warehouse_bi`` over TCP; the plain table is asked by an administrator. What
is asked of receipts, of the vendor's months and of SMS one by one has no plain table beside it. A
row takes about 0.6 kB of disk. The folder is removed at the end, unless ``--keep``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.bi_warehouse import LAST_DAY, add_ledger, fill, one, scratch_warehouse
from dagster_project.warehouse.connection import Warehouse

GOAL_MS = 80
WIDE_MS = 200
"""Of questions that read all days, or a row each template and hour."""
TEXTS_MS = 2_000
"""Of a LIKE over the texts of SMS one by one."""
PATIENCE_MS = 10_000

DAYS = "sent_on > %(last)s - 30 AND sent_on <= %(last)s"
YEAR_AGO = "sent_on > %(last)s - 394 AND sent_on <= %(last)s - 364"

Question = tuple[str, str, str | None]

# Each question: what it asks, of bi, and the same of the plain table.
QUESTIONS: tuple[Question, ...] = (
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

WIDE_QUESTIONS: tuple[Question, ...] = (
    (
        "people over all sites by month, 1 to 5+ SMS",
        "SELECT period_start, frequency_label, recipients FROM bi.sms_frequency"
        " WHERE site_id IS NULL AND dimension = 'all' AND period = 'month'",
        "SELECT month, least(n, 5), count(*) FROM (SELECT date_trunc('month', sent_on) AS month,"
        " recipient, count(*) AS n FROM warehouse.calltouch_sms GROUP BY 1, 2) r GROUP BY 1, 2",
    ),
    (
        "people of each campaign over all sites, all months",
        "SELECT period_start, member, sum(recipients) FROM bi.sms_frequency WHERE site_id IS NULL"
        " AND dimension = 'campaign' AND period = 'month' GROUP BY 1, 2",
        None,
    ),
    (
        "people of each template by week, 30 days",
        "SELECT period_start, account_label, member, sum(recipients) FROM bi.sms_frequency"
        " WHERE dimension = 'template' AND period = 'week' AND day > %(last)s - 30 GROUP BY 1, 2, 3",
        "SELECT date_trunc('week', sent_on), site_id, template_id, count(DISTINCT recipient)"
        f" FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1, 2, 3",
    ),
    (
        "template x hour, delivery, 30 days",
        "SELECT template_label, hour, sum(messages), sum(delivered) FROM bi.sms_template_hour"
        " WHERE day > %(last)s - 30 GROUP BY 1, 2",
        "SELECT template_id, extract(hour FROM sent_at AT TIME ZONE 'Europe/Moscow'), count(*),"
        " count(*) FILTER (WHERE outcome = 'delivered')"
        f" FROM warehouse.calltouch_sms WHERE {DAYS} GROUP BY 1, 2",
    ),
    (
        "cost, and of it failures, by template, 30 days",
        "SELECT template_label, currency, sum(cost), sum(cost_of_failed) FROM bi.sms_cost"
        " WHERE day > %(last)s - 30 GROUP BY 1, 2",
        None,
    ),
    (
        "cost by country and month, a year",
        "SELECT date_trunc('month', day), country, currency, sum(cost) FROM bi.sms_cost"
        " WHERE day > %(last)s - 365 GROUP BY 1, 2, 3",
        None,
    ),
    (
        "arrived in time, by source and month, all days",
        "SELECT source, date_trunc('month', day), avg((hours_to_load <= 24)::integer)"
        " FROM bi.data_arrival WHERE NOT is_history GROUP BY 1, 2",
        None,
    ),
    (
        "changed after it was settled, by site and month",
        "SELECT account_label, date_trunc('month', day), count(*), sum(rows_change)"
        " FROM bi.restatement GROUP BY 1, 2",
        None,
    ),
    (
        "the vendor's months that differ from ours",
        "SELECT account_label, month, figure, difference FROM bi.month_check WHERE difference <> 0",
        None,
    ),
    (
        "state of all days, by source and account",
        "SELECT source, account_label, state, count(*) FROM bi.data_status GROUP BY 1, 2, 3",
        None,
    ),
)

TEXT_QUESTIONS: tuple[Question, ...] = (
    (
        "SMS one by one, a word of one template, a year",
        "SELECT outcome, count(*), sum(segments) FROM bi_detail.sms_detail"
        " WHERE template_label LIKE '%%Кампания 7:%%' AND day > %(last)s - 365 GROUP BY 1",
        None,
    ),
    (
        "the same, its templates looked up first",
        "SELECT outcome, count(*), sum(segments) FROM bi_detail.sms_detail"
        " WHERE template_id = ANY (ARRAY(SELECT template_id FROM bi.template"
        " WHERE template_label LIKE '%%Кампания 7:%%')) AND day > %(last)s - 365 GROUP BY 1",
        None,
    ),
    (
        "the same, a word that most templates have",
        "SELECT outcome, count(*), sum(segments) FROM bi_detail.sms_detail"
        " WHERE template_label LIKE '%%скидки%%' AND day > %(last)s - 365 GROUP BY 1",
        None,
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
        add_ledger(warehouse)
        return report(warehouse)


def report(warehouse: Warehouse) -> int:
    """Print each question's medians; answers how many miss their goal."""
    missed = 0
    with warehouse.connect_admin() as admin:
        rows = one(admin, "SELECT count(*) FROM warehouse.calltouch_sms")
        sizes = "SELECT count(*), pg_size_pretty(pg_total_relation_size('mart.sms_day')) FROM mart.sms_day"
        print(f"\n{rows:,} SMS; mart.sms_day: {admin.execute(sizes).fetchone()}\n")
        print(f"{'question':<52}{'bi ms':>9}{'goal':>7}{'plain ms':>12}{'ratio':>9}")
        for role, questions, goal in (
            ("warehouse_bi", QUESTIONS, GOAL_MS),
            ("warehouse_bi", WIDE_QUESTIONS, WIDE_MS),
            ("warehouse_bi_detail", TEXT_QUESTIONS, TEXTS_MS),
        ):
            with connect_reader(warehouse, role) as bi:
                for question in questions:
                    missed += ask(question, goal, bi, admin)
    print(f"\n{missed} over their goal at the median")
    return missed


def connect_reader(warehouse: Warehouse, role: str) -> psycopg.Connection[Any]:
    password = warehouse.logins[role].get_secret_value()
    return psycopg.connect(**warehouse.place, user=role, password=password, autocommit=True)


def ask(
    question: Question, goal: float, bi: psycopg.Connection[Any], admin: psycopg.Connection[Any]
) -> bool:
    """Print a question's line; whether it misses the goal."""
    what, of_bi, of_table = question
    fast = median_ms(bi, of_bi, 7)
    line = f"{what:<52}{fast:>9.1f}{goal:>7}"
    if of_table is not None:
        plain = median_ms(admin, of_table, 3)
        line += f"{plain:>12.0f}{plain / fast:>8.0f}x"
    print(line, flush=True)
    return fast >= goal


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


if __name__ == "__main__":
    raise SystemExit(main())
