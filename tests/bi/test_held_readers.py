"""What a reader that is held to ops.bi_grant can find out about accounts that are not granted.

Not by what a query answers with, but by what Postgres tells about how it ran it: EXPLAIN ANALYZE, the
planner's estimates, and the counters of the reader's own transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.labels import load_labels
from dagster_project.warehouse.price_list import PRICE_COLUMNS
from tests.bi.conftest import DAY, Loads, Readers, sms
from tests.bi.test_messaging_day import activity, statistics
from tests.bi.test_roles import views

pytestmark = pytest.mark.both_servers

OURS, THEIRS = 101, 202
THEIR_DAY = DAY - timedelta(days=40)
READER = "bi_test_held_reader"
SECRET_TEXT = "Секретная распродажа"
Connection = psycopg.Connection[Any]
Observation = Callable[[Connection, str], str]


@pytest.fixture
def held(loads: Loads, readers: Readers, warehouse: Warehouse) -> Iterator[Connection]:
    """A session of a reader that sees one account of each vendor; others are loaded, too."""
    fill(loads)
    user = readers.user(READER, "warehouse_bi_pii")
    with warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.bi_grant SELECT %s::text::regrole, g.* FROM"
            " (VALUES ('calltouch', '101'), ('tellody', 'main'), ('trust', '1')) g (vendor, account)",
            (user,),
        )
        connection.execute("ANALYZE")
    with readers.session(user) as connection:
        connection.prepare_threshold = None
        for view in views(readers, user) * 7:  # functions keep a plan from the sixth time on
            connection.execute(f"SELECT count(*) FROM {view}".encode())
        yield connection


def fill(loads: Loads) -> None:
    """Days of both, and before them days of theirs alone: a reader's own days are no secret to it."""
    hidden = [sms(f"+7999000{n:04d}", SECRET_TEXT) for n in range(137)]
    hidden += [sms("+79990000001", f"Код {n}", "failed", "expired", "15:00:00") for n in range(9)]
    for back in range(4):
        day = DAY + timedelta(days=back)
        ours = [sms(f"+7916000{n:04d}") for n in range(25 + back)]
        loads.sms(day, ours, OURS)
        loads.rows("tellody_activity", "main", day, [activity(sms_sent=5)])
        loads.rows("trust", "1", day, [statistics(day, total=3, received=2)])
    for day in (THEIR_DAY, DAY):
        loads.sms(day, hidden, THEIRS)
    counts = activity(sms_sent=4711, email_sent=12, url_clicks=8, optouts=3)
    for day in (THEIR_DAY, DAY):
        loads.rows("tellody_activity", "other", day, [counts])
    for account, number in (("main", 1), ("other", 2)):
        day = DAY if account == "main" else THEIR_DAY
        bought = {
            "payment_id": number,
            "purchased_at": datetime.fromisoformat(f"{day} 09:00+00:00"),
            "time_zone": "Europe/Athens",
            "amount": Decimal(number * 77),
            "credits": Decimal(number * 1000),
            "months": number,
            "payment_method": f"by {account}",
            "account_type": account,
        }
        loads.rows("tellody_purchases", account, day, [bought], currency="EUR")
    daily = statistics(THEIR_DAY, total=888, received=555, sent=700)
    loads.rows("trust", "2", THEIR_DAY, [daily])
    rolling = statistics(DAY, total=999, is_daily=False) | {"window_from": DAY - timedelta(days=6)}
    loads.rows("trust", "2", DAY, [rolling])
    for account, figures in (("main", activity(sms_sent=5)), ("other", counts)):
        for sent in (figures | {"sms_sent": 6}, figures):
            loads.rows("tellody_activity", account, DAY, [sent], settled=True)
    with loads.warehouse.connect_admin() as admin:
        admin.execute(
            "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on,"
            " newest_receipt_id, outcome, figures, requests, points, code_version)"
            " SELECT 'tellody_activity', name, '2024-04-01', now(), current_date, 1, 'differs',"
            " json_build_object('sms_sent', json_build_array(length(name), 4711)), 1, 1, 't'"
            " FROM unnest(ARRAY['main', 'other']) AS name"
        )
    prices = [
        f"{account},,{per},7.77,2024-01-01,,EUR"
        for account, per in (
            ("calltouch,101", "segment"), ("calltouch,202", "segment"),
            ("tellody,main", "message"), ("tellody,other", "message"),
        )
    ]  # fmt: skip
    with loads.warehouse.connect(what="test") as connection:
        load_labels(connection, [",".join(PRICE_COLUMNS), *prices])
        connection.commit()
    loads.count_months()


def analyzed(connection: Connection, query: str) -> str:
    """What EXPLAIN ANALYZE tells of nodes: estimates, rows, rows left out, loops, buffers; no time."""
    options = "ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON"
    row = connection.execute(f"EXPLAIN ({options}) {query}".encode()).fetchone()
    assert row is not None
    return json.dumps(_told(row[0][0]["Plan"]), sort_keys=True)


def counted(connection: Connection, query: str) -> str:
    """What the counters of a transaction say that runs the query alone."""
    with connection.transaction():
        before = _counters(connection)
        connection.execute(query.encode()).fetchall()
        after = _counters(connection)
    return str([(table, after[table] - before[table]) for table in sorted(after)])


def _counters(connection: Connection) -> Counter[tuple[str, str]]:
    rows = connection.execute(
        "SELECT t.relid::regclass::text, c.name, c.count FROM pg_stat_xact_all_tables t,"
        " LATERAL (VALUES ('seq_scan', seq_scan), ('seq_tup_read', seq_tup_read),"
        " ('idx_scan', idx_scan), ('idx_tup_fetch', idx_tup_fetch)) c (name, count)"
        " WHERE schemaname IN ('mart', 'ops', 'warehouse') AND c.count > 0"
    )
    return Counter({(table, name): count for table, name, count in rows})


OBSERVATIONS: tuple[Observation, ...] = (analyzed, counted)


def look(connection: Connection, observe: Observation, query: str) -> str:
    """What is observed twice in a row: what is cached meanwhile is no answer."""
    seen = observe(connection, query)
    while (again := observe(connection, query)) != seen:
        seen = again
    return seen


def _told(node: Any) -> Any:
    """A plan's node without the conditions, in which the values asked for are repeated."""
    if isinstance(node, list):
        return [_told(part) for part in node]
    if not isinstance(node, dict):
        return node
    blocks = ("Shared Hit Blocks", "Shared Read Blocks")
    told = {
        name: _told(value)
        for name, value in node.items()
        if isinstance(value, list | dict | int | float)
        and not name.startswith(("Shared Dirtied", "Shared Written"))
        and name not in (*blocks, "Sort Key", "Group Key")
    }
    told["What"] = [node.get(key) for key in ("Node Type", "Relation Name", "Index Name", "Alias")]
    told["Conditions"] = sorted(key for key in node if key.endswith(("Cond", "Filter")))
    told["Buffers"] = sum(node.get(name, 0) for name in blocks)
    return told


# ── the attack of whom it was reported by: a value, by halving ──────────────────────────────────────


FIGURES = (
    ("sms_reach", "site_id = 202 AND period = 'month' AND period_start = '2024-02-01' AND category = 'all'", "recipients", 137),
    ("tellody_activity_day", "account = 'other'", "sms_sent", 4711),
    ("trust_day", "company_id = 2", "received", 555),
    ("sms_day", "site_id = 202 AND sent_on = '2024-02-21' AND outcome = 'delivered'", "messages", 137),
)  # fmt: skip


def test_halving_finds_neither_a_figure_nor_a_text_of_another_account(held: Connection) -> None:
    found = [
        (view, observe.__name__)
        for observe in OBSERVATIONS
        for view, condition, column, secret in FIGURES
        if secret == halved(asking(held, observe, view, f"{condition} AND {column} < "), 0, 1 << 16)
    ]
    assert (found, spelled(held)) == ([], "")


def asking(
    connection: Connection, observe: Observation, view: str, condition: str
) -> Callable[[Any], str]:
    def ask(bound: Any) -> str:
        query = f"SELECT 1 FROM bi.{view} WHERE {condition}{sql.Literal(bound).as_string()}"
        return look(connection, observe, query)

    return ask


def halved(ask: Callable[[int], str], low: int, high: int) -> int | None:
    """The value whose lower bounds look as ``low`` does and whose upper ones look otherwise."""
    below = ask(low)
    if ask(high) == below:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if ask(middle) == below else (low, middle)
    return low


def spelled(connection: Connection) -> str:
    """The first letters of a hidden template: each the last one before comparisons look otherwise."""
    named = "site_id = 202 AND category <> 'rare'"
    ask = asking(connection, analyzed, "template", f"{named} AND template_label < ")
    alphabet = sorted(set(SECRET_TEXT.lower() + SECRET_TEXT))
    found = ""
    while len(found) < 3:
        below = ask(found)
        before = [letter for letter in alphabet if ask(found + letter) == below]
        if len(before) == len(alphabet):
            return found
        found += before[-1] if before else ""
    return found


# ── the kind: no column of no view ──────────────────────────────────────────────────────────────────


def test_no_column_of_another_account_shows_in_how_a_query_ran(
    held: Connection, warehouse: Warehouse
) -> None:
    """A comparison that holds for a hidden row, and one that holds for none, look the same."""
    told = []
    compared = 0
    with warehouse.connect_admin() as admin:
        for view, account, theirs in views_of_accounts(admin):
            for column, hidden, other in values(admin, view, account, theirs):
                for operator in ("=", "<", "LIKE") if isinstance(hidden, str) else ("=", "<"):
                    compared += 1
                    queries = [
                        sql.SQL("SELECT 1 FROM {} WHERE {} = {} AND {} {} {}").format(
                            sql.SQL(view), sql.Identifier(account), sql.Literal(theirs),
                            sql.Identifier(column), sql.SQL(operator), sql.Literal(value),
                        ).as_string(held)
                        for value in (hidden, other)
                    ]  # fmt: skip
                    if not any(look_alike(held, queries) for _ in range(3)):
                        told.append(f"{view}.{column} {operator}")
    assert ", ".join(told) == ""
    assert compared > 150


def look_alike(connection: Connection, queries: Sequence[str]) -> bool:
    looks = {
        tuple(look(connection, observe, query) for observe in OBSERVATIONS) for query in queries
    }
    return len(looks) == 1


def views_of_accounts(admin: Connection) -> Iterator[tuple[str, str, Any]]:
    """Every view that shows accounts, its column for them, and the hidden account."""
    hidden = {"site_id": THEIRS, "account": "other", "company_id": 2}
    rows = admin.execute(
        "SELECT format('%I.%I', n.nspname, c.relname), array_agg(a.attname::text)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE n.nspname IN ('bi', 'bi_detail', 'bi_pii') AND c.relname <> 'date_day' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    for view, columns in rows:
        [account] = [name for name in ("site_id", "company_id", "account") if name in columns][:1]
        yield (
            view,
            "account" if "account" in columns else account,
            (hidden["account" if "account" in columns else account]),
        )


def values(
    admin: Connection, view: str, account: str, theirs: Any
) -> Iterator[tuple[str, Any, Any]]:
    """Each column with a value of a hidden row and one of no hidden row."""
    rows = admin.execute(
        sql.SQL("SELECT * FROM {} WHERE {} = {} ORDER BY 1 LIMIT 1").format(
            sql.SQL(view), sql.Identifier(account), sql.Literal(theirs)
        )
    )
    assert rows.description is not None
    names = [column.name for column in rows.description]
    hidden = rows.fetchone()
    assert hidden is not None, view
    for name, value in zip(names, hidden, strict=True):
        other = unlike(value)
        if value is not None and name != account and other is not None:
            yield name, value, other


def unlike(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float | Decimal):
        return value + 100_003
    if isinstance(value, datetime):
        return value + timedelta(days=1000)
    if isinstance(value, date):
        return value - timedelta(days=1)
    if isinstance(value, UUID):
        return UUID(int=value.int ^ 1)
    return f"{value}я" if isinstance(value, str) else None


# ── plans that are kept ─────────────────────────────────────────────────────────────────────────────


def test_a_plan_that_is_kept_shows_nothing_more_once_a_grant_holds_its_reader(
    loads: Loads, readers: Readers, warehouse: Warehouse
) -> None:
    fill(loads)
    user = readers.user(READER, "warehouse_bi_detail")
    question = "SELECT count(DISTINCT {}) FROM {}"
    with readers.session(user) as connection, warehouse.connect_admin() as admin:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        views = {
            "bi.sms_day": "site_id",
            "bi_detail.sms_detail": "site_id",
            "bi.account": "account",
            "bi.trust_day": "company_id",
        }
        for view, column in views.items():
            name = view.partition(".")[2]
            connection.execute(f"PREPARE of_{name} AS {question.format(column, view)}".encode())
            row = connection.execute(f"EXECUTE of_{name}".encode()).fetchone()
            assert row is not None
            assert row[0] > 1
        admin.execute("INSERT INTO ops.bi_grant VALUES (%s::text::regrole, 'trust', '1')", (user,))
        for view in views:
            with pytest.raises(pg.InsufficientPrivilege, match="has changed"):
                connection.execute(f"EXECUTE of_{view.partition('.')[2]}".encode())
        assert connection.execute("SELECT company_id FROM bi.trust_day").fetchall() == [(1,)] * 4
        connection.execute("PREPARE again AS SELECT count(DISTINCT company_id) FROM bi.trust_day")
        connection.execute("EXECUTE again")
        admin.execute("DELETE FROM ops.bi_grant")
        assert connection.execute("EXECUTE again").fetchone() == (2,)


def test_a_reader_that_is_held_to_nothing_has_no_part_in_this(
    loads: Loads, readers: Readers
) -> None:
    """Its plan reads the tables, as it did, and calls no function for the rows."""
    fill(loads)
    for view in ("sms_day", "messaging_day", "trust_day", "sms_reach"):
        lines = readers.ask(f"EXPLAIN (VERBOSE) SELECT * FROM bi.{view}")
        plan = "\n".join(line for (line,) in lines)
        assert "Function Scan" not in plan, view
        assert "Scan" in plan, view


def test_every_view_of_accounts_is_published_in_two_halves(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c"
            " WHERE c.relnamespace::regnamespace::text IN ('bi', 'bi_detail', 'bi_pii')"
            " AND c.relkind = 'v' AND c.relname <> 'date_day'"
        ).fetchall()
    assert len(rows) >= 16
    for view, definition in rows:
        for part in (
            "mart.sees_all() AND mart.still_sees_all()",
            "NOT mart.sees_all()",
            "mart.own_",
        ):
            assert part in definition, f"{view} is not made by mart.publish()"


def test_the_half_for_who_sees_all_is_a_barrier_save_that_of_single_sms(
    warehouse: Warehouse,
) -> None:
    """There a LIKE is to reach mart.template."""
    with warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'mart'::regnamespace AND c.relkind = 'v'"
            " AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false)"
        ).fetchall()
    assert rows == [("all_sms_detail",)]
