"""What tiles say where nothing is to be told, and the tiles of restatements and of the vendors' months, as the BI role."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from tests.bi.conftest import DAY, NEXT, Loads, Readers, sms
from tests.bi.test_dashboard import FILES, TABLES, bundle

NOTHING = ["not compared"] * 3


def shown(readers: Readers, tile: str, where: str = "true") -> list[tuple[Any, ...]]:
    """The rows of a table or a number, in the order in which Superset shows them."""
    params = FILES[f"charts/{tile}.yaml"]["params"]
    source = TABLES["datasets"][TABLES["tiles"][tile]["dataset"]]["sql"]
    groups = [
        each["sqlExpression"] if isinstance(each, dict) else each for each in params["groupby"]
    ]
    wanted = groups + [metric["sqlExpression"] for metric in params["metrics"]]
    query = f"SELECT {', '.join(wanted)} FROM ({source}) AS d WHERE {where}"
    if groups:
        order = params["timeseries_limit_metric"]["sqlExpression"]
        query += f" GROUP BY {', '.join(groups)} ORDER BY {order} DESC, {', '.join(groups)}"
    return readers.ask(query.replace("%", "%%"), values=())


def one(readers: Readers, tile: str) -> Any:
    [[said]] = shown(readers, tile)
    return said


def compare(loads: Loads, month: date, outcome: str, figures: dict[str, Any], **more: Any) -> None:
    values = {"source": "calltouch", "account": "101", "undated": 0} | more
    with loads.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on,"
            " newest_receipt_id, outcome, figures, undated, requests, points, code_version)"
            " SELECT %(source)s, %(account)s, %(month)s, now(), current_date, max(receipt_id),"
            " %(outcome)s, %(figures)s, %(undated)s, 1, 1, 't' FROM ops.load_receipt",
            values | {"month": month, "outcome": outcome, "figures": json.dumps(figures)},
        )


def test_an_account_of_which_nothing_changed_says_so(loads: Loads, readers: Readers) -> None:
    assert one(readers, "days_restated") == "no data"
    assert one(readers, "months_that_differ") == "not compared"
    loads.sms(DAY, [sms("+1")], settled=True)
    loads.sms(DAY, [sms("+1")], site=202)
    nothing = ("0", "0", "0", "0", "", "")
    assert shown(readers, "restatements") == [
        ("no day settled yet", "calltouch", "202", *nothing),
        ("none changed", "calltouch", "101", *nothing),
    ]
    assert one(readers, "days_restated") == "0"
    assert [row[:3] for row in shown(readers, "month_checks")] == [
        ("none compared yet", "calltouch", site) for site in ("101", "202")
    ]
    assert [list(row[3:]) for row in shown(readers, "month_checks")] == [["", "", *NOTHING]] * 2
    assert one(readers, "months_that_differ") == "not compared"


def test_a_settled_day_that_changed_is_told_with_its_rows(loads: Loads, readers: Readers) -> None:
    rows = [sms(f"+{n}") for n in range(4)]
    for day in (DAY, NEXT):
        loads.sms(day, rows[:3], settled=True)
    loads.sms(DAY, rows, settled=True)
    loads.sms(DAY, rows[:1], settled=True)
    loads.sms(NEXT, rows, settled=True)
    loads.sms(NEXT, rows, site=202)
    told = shown(readers, "restatements")
    again = "the vendor answered otherwise"
    assert [(*row[:7], row[8]) for row in told] == [
        (str(NEXT), "calltouch", "101", "4", "0", "3", "1", again),
        (str(DAY), "calltouch", "101", "5", "0", "7", "2", again),
        ("no day settled yet", "calltouch", "202", "0", "0", "0", "0", ""),
    ]
    assert one(readers, "days_restated") == "2"
    of_view = TABLES["metrics"]["restatement"]["days_restated"][0]
    assert readers.one(f"SELECT {of_view} FROM bi.restatement") == 2


def test_a_month_that_differs_stands_before_those_that_agree(
    loads: Loads, readers: Readers
) -> None:
    loads.sms(date(2024, 3, 1), [sms("+1")])
    loads.sms(DAY, [sms("+1")])
    compare(loads, date(2024, 3, 1), "differs", {"records": [3, 1]})
    compare(loads, DAY, "agrees", {"records": [2, 1]}, undated=1)
    but = "agrees, but for rejected records without a day"
    assert shown(readers, "month_checks") == [
        ("2024-03", "calltouch", "101", "records", "differs", "3", "1", "-2"),
        ("2024-04", "calltouch", "101", "records", but, "2", "1", "-1"),
    ]
    assert one(readers, "months_that_differ") == "1"
    loads.sms(DAY, [])
    [*_, newer] = shown(readers, "month_checks")
    assert newer[4] == f"{but}; days were loaded again since"


def test_a_figure_that_need_not_add_up_is_no_month_that_differs(
    loads: Loads, readers: Readers
) -> None:
    loads.rows("trust", "11", DAY, [], settled=True)
    figures = {"campaigns": [5, 9], "received": [7, 7]}
    compare(loads, DAY, "agrees", figures, source="trust", account="11")
    assert [row[3:] for row in shown(readers, "month_checks")] == [
        ("campaigns", "need not add up", "5", "9", "4"),
        ("received", "agrees", "7", "7", "0"),
    ]
    assert one(readers, "months_that_differ") == "0"


def test_a_month_that_is_loaded_whole_tells_how_many_of_its_days_are_not_settled(
    loads: Loads, readers: Readers
) -> None:
    for site, settled in ((101, True), (202, False)):
        loads.sms(DAY, [sms("+1")], site, settled=settled)
        loads.sms(NEXT, [sms("+1")], site)
    [(_, days, unsettled, *_)] = shown(readers, "months", f"month_start = '{DAY}'")
    assert (days, unsettled) == ("part: 2 of 30", "2")


@pytest.mark.parametrize(
    ("tile", "expected"), [("hours_to_final", "none seen yet"), ("failed", "not reported")]
)
def test_a_tile_may_have_words_of_its_own_for_what_is_not_known(tile: str, expected: str) -> None:
    made = FILES[f"charts/{tile}.yaml"]["params"]["metrics"][0]["sqlExpression"]
    assert made.endswith(f"'{expected}') END")
    metrics = bundle.charts.Metrics({"n": ("SUM(n)", ",d", "")}, {"n": "BIGINT"})
    assert "'no data' ELSE" in metrics.written("n")
    assert "'none' ELSE" in metrics.written("n", {"nothing": "none"})
