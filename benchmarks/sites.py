"""Part ``sites``: what the ledger of 1,000 sites after 400 nights costs whoever looks at it, beside 10 sites.

The ledger, the marts, the stored answers and Dagster's tables are filled inside the server as nights leave them: a site
has 50 SMS a day, a day is read eight times, each reading is an extraction and a receipt; every finished month was
compared; of 2,000 days one has fewer rows than usual. Then the commands are timed as whole processes, the sensors' ticks and what a night is due to ask within one, and the questions of
the dashboard as ``warehouse_bi``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.bi_questions import QUESTIONS, median_ms
from benchmarks.scene import ROOT, Scene, product, scene
from benchmarks.table import Line, spread
from dagster_project.model.check_outcome import (
    COMPLETE,
    DATES_INSIDE,
    HELD,
    KNOWN_VALUES,
    NO_REJECTS,
    PLAUSIBLE_VOLUME,
    READABLE,
)

NIGHTS = 400
READINGS = 8
CHECKS = (
    *(COMPLETE, NO_REJECTS, KNOWN_VALUES, DATES_INSIDE, HELD, READABLE),
    PLAUSIBLE_VOLUME,
)
ODD_DAY = 2000
"""Of so many days of all sites one fails the last of the checks."""
FAILED_NIGHT = 40
"""Of so many nights one run failed, and an alarm was raised that is over."""
SMS_A_DAY = 50
STORED_NIGHTS = 30
FEW, MANY = 10, 1000
COMMAND = Path(sys.executable).with_name("warehouse")
COMMANDS = {
    "warehouse status": (["status"], 2.0),
    "warehouse metrics": (["metrics"], None),
    "warehouse plan, 30 days": (
        ["plan", "--source", "calltouch", "--from", "{first}", "--to", "{last}"],
        None,
    ),
}
TICKS = {
    "due": ("what a night is due to ask", 5.0),
    "alarm_failed_runs": ("a tick of alarm_failed_runs", 1.0),
    "alarm_failed_checks": ("a tick of alarm_failed_checks", 1.0),
    "alarm_overdue": ("a tick of alarm_overdue", 1.0),
    "freshness": ("a tick of freshness", 1.0),
    "status_page": ("a tick of status_page", 1.0),
    "dead_runs": ("a tick of dead_runs", 1.0),
}
QUESTION_MS = 200.0

FILL = (
    """INSERT INTO mart.account (vendor, account, site_id, time_zone, label)
    SELECT 'calltouch', site::text, site, 'Europe/Moscow', 'Site ' || site
    FROM generate_series(1, %(sites)s) AS s (site)""",
    """INSERT INTO ops.account_start
    SELECT 'calltouch', site::text, %(first)s::date FROM generate_series(1, %(sites)s) AS s (site)""",
    """INSERT INTO ops.extraction (source, account, first_day, last_day, run_id, requests, points, pages,
        vendor_total, started_at, finished_at, outcome, code_version)
    SELECT 'calltouch', site::text, day, day, md5('run' || day)::uuid::text, 1, 1, 1, %(a_day)s,
        day + reading + interval '26 hours', day + reading + interval '26 hours 1 second', 'complete', 'x'
    FROM generate_series(0, %(nights)s - 1) AS d (back),
        LATERAL (SELECT %(last)s::date - back AS day) AS of_day,
        generate_series(0, least(back, %(readings)s - 1)) AS r (reading),
        generate_series(1, %(sites)s) AS s (site)
    ORDER BY day + reading, site""",
    """INSERT INTO ops.load_receipt (extraction_id, source, account, day, run_id, is_replay, rows_received,
        rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected, rows_final, checksum,
        observed_at, code_version, loaded_at, reported_at)
    SELECT extraction_id, source, account, first_day, run_id, false, %(a_day)s, 0, 0, 0, %(a_day)s, 0,
        %(a_day)s, md5(account), started_at, 'x', finished_at, finished_at
    FROM ops.extraction ORDER BY extraction_id""",
    """INSERT INTO ops.day_state (source, account, day, receipt_id, extraction_id, observed_at, loaded_at,
        rows, rows_final, checksum, settled, time_zone)
    SELECT DISTINCT ON (account, day) source, account, day, receipt_id, extraction_id, observed_at, loaded_at,
        %(a_day)s, %(a_day)s, checksum, day <= %(last)s - %(readings)s, 'Europe/Moscow'
    FROM ops.load_receipt ORDER BY account, day, receipt_id DESC""",
    """INSERT INTO raw.response (extraction_id, attempt, sequence, request, asked_at, received_at, status,
        content_type, body_bytes, body_sha256, body)
    SELECT extraction_id, 1, 1, '{}', started_at, finished_at, 200, 'application/json', 12000,
        sha256(account::bytea), decode(repeat(md5(extraction_id::text), 40), 'hex')
    FROM ops.extraction WHERE started_at > %(last)s - %(stored)s""",
    """INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label, category,
        names_masked)
    SELECT site, md5('t' || t)::uuid, 'Campaign ' || t, 'other', 'Campaign ' || t, 'other', true
    FROM generate_series(1, %(sites)s) AS s (site), generate_series(1, 8) AS t""",
    """INSERT INTO mart.messaging_day (day, vendor, account, channel, attempted, accepted, delivered, failed,
        pending, undetermined)
    SELECT day, 'calltouch', account, 'sms', %(a_day)s, NULL, 45, 3, 0, 2 FROM ops.day_state""",
    """INSERT INTO mart.sms_day
    SELECT day, account::bigint, md5('t' || (1 + (extract(day FROM day)::int + n) %% 8)::text)::uuid, 'RU',
        (ARRAY['delivered', 'delivered', 'failed', 'undetermined'])[n],
        (ARRAY['', '', 'unreachable', ''])[n], 12, 24, 0
    FROM ops.day_state, generate_series(1, 4) AS n""",
    """INSERT INTO mart.sms_hour
    SELECT day, account::bigint, hour, 'other', 'delivered', 6
    FROM ops.day_state, generate_series(10, 17) AS hour""",
    """INSERT INTO mart.sms_maturity
    SELECT day, day + 1, account::bigint, 'delivered', 45, 45, 90 FROM ops.day_state""",
    """INSERT INTO mart.sms_reach
    SELECT 'month', month, site, category, 900, 20, 1500
    FROM generate_series(1, %(sites)s) AS s (site), unnest(ARRAY['all', 'other']) AS category,
        (SELECT DISTINCT date_trunc('month', day)::date FROM ops.day_state) AS m (month)""",
    """INSERT INTO ops.check_outcome (source, account, day, check_name, passed, severity, said, receipt_id)
    SELECT source, account, day, name, name <> %(last_check)s OR NOT is_odd,
        CASE WHEN name IN ('complete', 'not_shrunk', 'readable') THEN 'error' ELSE 'warning' END,
        CASE WHEN is_odd THEN '20 rows; usual on a Monday: 100, the median of 4' ELSE 'all is well' END, receipt_id
    FROM ops.day_state, unnest(%(checks)s::text[]) AS name,
        LATERAL (SELECT (account::bigint + 7 * (day - date '2020-01-01')) %% %(odd_day)s = 0 AS is_odd) AS o""",
    """INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on, newest_receipt_id, outcome,
        figures, requests, points, code_version)
    SELECT source, account, month, max(loaded_at), max(loaded_at)::date, max(receipt_id), 'agrees',
        '{"records": [1500, 1500]}', 1, 2, 'x'
    FROM ops.day_state, LATERAL (SELECT date_trunc('month', day::timestamp)::date AS month) AS m
    GROUP BY source, account, month HAVING bool_and(settled) AND count(*) >= 28""",
    """INSERT INTO ops.alarm (subject, kind, severity, source, accounts, days, what, way_out, told_with, raised_at,
        resolved_at)
    SELECT 'run/calltouch/TryLater', 'run_failed', 'error', 'calltouch', '{1}', ARRAY[day], 'it was away.',
        '{}', 'run/calltouch', day + interval '26 hours', day + interval '50 hours'
    FROM generate_series(%(first)s::date, %(last)s, %(failed_night)s * interval '1 day') AS day""",
    "VACUUM (ANALYZE)",
)
# A night is a run: a line for each site, and of eight days two materializations and what the checks say.
FILL_DAGSTER = (
    """INSERT INTO runs (run_id, pipeline_name, mode, status, run_body, create_timestamp, update_timestamp, start_time,
        end_time)
    SELECT md5('run' || night)::uuid::text, 'refresh_calltouch', 'default',
        CASE WHEN back > 0 AND back %% %(failed_night)s = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, repeat('x', 2000),
        night + interval '26 hours', night + interval '27 hours', extract(epoch FROM night + interval '26 hours'),
        extract(epoch FROM night + interval '27 hours')
    FROM generate_series(1, %(nights)s - 1) AS back, LATERAL (SELECT %(last)s::date - back AS night) AS n""",
    """INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key)
    SELECT run_id, repeat('x', 900), NULL, create_timestamp, 'refresh_calltouch'
    FROM runs, generate_series(1, %(sites)s)""",
    """INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, asset_key, partition)
    SELECT run_id, repeat('x', 5000), type, create_timestamp, '["calltouch", "sms"]',
        (create_timestamp::date - back)::text
    FROM runs, generate_series(1, %(readings)s) AS back, (SELECT 'ASSET_MATERIALIZATION' AS type UNION ALL
        SELECT 'ASSET_CHECK_EVALUATION' FROM unnest(%(checks)s::text[])) AS t""",
    """INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp)
    SELECT run_id, repeat('x', 2000), CASE status WHEN 'FAILURE' THEN 'PIPELINE_FAILURE' ELSE 'PIPELINE_SUCCESS' END,
        update_timestamp FROM runs""",
    "VACUUM (ANALYZE)",
)


def sites(many: int = MANY) -> Iterator[Line]:
    """What looking at the ledger of few and of many sites takes."""
    few, lots = _look(FEW), _look(many)
    for name, (values, goal, unit) in lots.items():
        taken, beside = median(values), median(few[name][0])
        yield Line(
            f"{name}, {many:,} sites",
            f"{taken:.2f} {unit}" if unit == "s" else f"{taken:.1f} {unit}",
            f"{FEW} sites: {beside:.2f} {unit}",
            f"{taken / beside:.1f} times",
            "" if goal is None else f"<= {goal:g} {unit}",
            None if goal is None else taken <= goal,
            spread(values),
        )


Figures = dict[str, tuple[list[float], float | None, str]]


def _look(count: int) -> Figures:
    env = {
        "CALLTOUCH_BASE_URL": "http://127.0.0.1:9",
        "CALLTOUCH_ACCESS_TOKEN": "bench",
        "CALLTOUCH_SITE_IDS": ",".join(map(str, range(1, count + 1))),
    }
    last = datetime.now(ZoneInfo("Europe/Moscow")).date() - timedelta(days=1)
    with scene({**env, "WAREHOUSE_START_DATE": str(last - timedelta(days=NIGHTS))}) as made:
        values = _values(count, last)
        seconds = _fill(made, FILL, values)
        print(f"{count:,} sites: filled in {seconds:.0f} s", flush=True)
        figures: Figures = {}
        # The worker makes Dagster's storage, which the commands ask as well.
        with product(made) as worker:
            worker.ask(do="tick", sensor="dead_runs")
            _fill(made, FILL_DAGSTER, values, made.warehouse.storage.database)
            for tick, (name, goal) in TICKS.items():
                told = [float(worker.ask(do="tick", sensor=tick)["seconds"]) for _ in range(4)]
                figures[name] = told[1:], goal, "s"  # the first one imports
        for name, (words, goal) in COMMANDS.items():
            figures[name] = [_timed(made, words, last) for _ in range(3)], goal, "s"
        for question, values in _questions(made, last):
            figures[question] = values, QUESTION_MS, "ms"
        return figures


def _values(count: int, last: date) -> dict[str, Any]:
    return {
        **{"sites": count, "nights": NIGHTS, "readings": READINGS, "a_day": SMS_A_DAY},
        **{"first": last - timedelta(days=NIGHTS - 1), "last": last, "stored": STORED_NIGHTS},
        **{"checks": list(CHECKS), "last_check": CHECKS[-1], "odd_day": ODD_DAY},
        "failed_night": FAILED_NIGHT,
    }


def _fill(
    made: Scene, statements: Sequence[str], values: Mapping[str, Any], database: str | None = None
) -> float:
    begun = time.perf_counter()
    with made.admin(database) as connection:
        connection.autocommit = True
        connection.execute("SET synchronous_commit = off")
        for statement in statements:
            connection.execute(statement, values)
    made.checkpoint()
    return time.perf_counter() - begun


def _timed(made: Scene, words: Sequence[str], last: date) -> float:
    days = {"first": last - timedelta(days=29), "last": last}
    command = [str(COMMAND), *(word.format(**days) for word in words)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=made.env, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, 1), command
    return time.perf_counter() - begun


def _questions(made: Scene, last: date) -> Iterator[tuple[str, list[float]]]:
    password = made.warehouse.logins["warehouse_bi"].get_secret_value()
    reader: dict[str, Any] = {
        **made.warehouse.place,
        **{"user": "warehouse_bi", "password": password, "dbname": made.warehouse.database},
    }
    with psycopg.connect(**reader, autocommit=True) as bi:
        for name, question, _ in (*QUESTIONS, *STATUS_QUESTIONS):
            yield name, [median_ms(bi, question, 5, last) for _ in range(3)]


STATUS_QUESTIONS = (
    (
        "bi.data_status, gaps by account",
        "SELECT account, count(*) FROM bi.data_status WHERE is_gap GROUP BY 1",
        "",
    ),
    (
        "bi.data_status, one account",
        "SELECT * FROM bi.data_status WHERE source = 'calltouch' AND account = '7'",
        "",
    ),
)
