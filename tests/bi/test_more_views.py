"""Frequency, hours of templates, arrival, restatements, the vendor's months, cost, and small counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dagster_project.warehouse.labels import load_labels
from dagster_project.warehouse.price_list import PRICE_COLUMNS
from tests.bi.conftest import DAY, MOSCOW, NEXT, Loads, Readers, sms
from tests.bi.test_messaging_day import activity

People = Callable[[int], list[str]]


def set_prices(loads: Loads, *lines: str) -> list[str]:
    with loads.warehouse.connect(what="test") as connection:
        changed = load_labels(connection, [",".join(PRICE_COLUMNS), *lines], "prices.csv")
        connection.commit()
    return changed


def test_people_are_counted_once_over_sites_and_by_how_often_they_were_written_to(
    loads: Loads, readers: Readers, people: People
) -> None:
    """Ten at one site twice, ten at the other once, of whom five are at both."""
    numbers = people(15)
    first = [sms(phone, "Скидка 5%", at=f"1{n}:00:00") for phone in numbers[:10] for n in (1, 2)]
    loads.sms(DAY, first, 101)
    loads.sms(NEXT, [sms(phone, "Скидка 5%") for phone in numbers[5:]], 202)
    loads.count_months()
    often = (
        "SELECT coalesce(site_id, 0), frequency_label, recipients, messages FROM bi.sms_frequency"
        " WHERE period = 'month' AND dimension = 'all' ORDER BY 1, 2"
    )
    assert readers.ask(often) == [
        (0, "1", 5, 5), (0, "2", 5, 10), (0, "3", 5, 15), (101, "2", 10, 20), (202, "1", 10, 10),
    ]  # fmt: skip
    reached = "SELECT sum(recipients) FROM bi.sms_frequency WHERE period = 'month' AND dimension = 'all' AND site_id IS {}"
    assert readers.one(reached.format("NULL")) == 15
    assert readers.one("SELECT sum(recipients) FROM bi.sms_reach WHERE period = 'month' AND category = 'all'") == 20  # fmt: skip


def test_a_template_has_its_reach(loads: Loads, readers: Readers, people: People) -> None:
    loads.sms(DAY, [sms(phone, "Скидка 5%") for phone in people(21)])
    loads.sms(NEXT, [sms(phone, "Скидка 7%") for phone in people(1) for _ in range(5)])
    loads.count_months()
    of = (
        "SELECT member, frequency_label, recipients, messages FROM bi.sms_frequency"
        " JOIN bi.template USING (template_key) WHERE period = 'month' ORDER BY frequency"
    )
    assert readers.ask(of) == [("Скидка #%", "1", 20, 20), ("Скидка #%", "5+", 1, 6)]


def test_an_account_that_goes_takes_its_people_along(
    loads: Loads, readers: Readers, people: People
) -> None:
    loads.sms(DAY, [sms(phone) for phone in people(10)], 101)
    loads.sms(DAY, [sms(phone) for phone in people(30)], 202)
    loads.count_months()
    with loads.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms WHERE site_id = 202")
        connection.execute("DELETE FROM mart.account WHERE site_id = 202")
    loads.count_months()
    over_all = "SELECT sum(recipients) FROM bi.sms_frequency WHERE period = 'month' AND dimension = 'all' AND site_id IS NULL"
    assert readers.one(over_all) == 10


def test_hours_of_a_template(loads: Loads, readers: Readers, people: People) -> None:
    rows = [sms(phone, "Скидка 5%", at="09:10:00") for phone in people(20)]
    rows += [sms("+79160000001", "Скидка 9%", "failed", "expired", at="21:59:59")]
    loads.sms(DAY, rows)
    of = "SELECT template_label, iso_weekday, hour, messages, delivered, failed FROM bi.sms_template_hour ORDER BY hour"
    assert readers.ask(of) == [("Скидка #%", 1, 9, 20, 20, 0), ("Скидка #%", 1, 21, 1, 0, 1)]


def test_small_counts_are_told_apart_until_a_threshold_is_set(
    loads: Loads, readers: Readers, people: People
) -> None:
    rows = [sms(phone, "Скидка 5%", at="09:10:00") for phone in people(20)]
    rows += [sms(phone, "Скидка 5%", at="21:10:00") for phone in people(2)]
    loads.sms(DAY, rows)
    loads.sms(NEXT, [sms(people(1)[0], "Скидка 5%")])
    hours = "SELECT day, hour, sum(messages) FROM bi.{} GROUP BY 1, 2 ORDER BY 1, 2"
    days = "SELECT day, template_label, sum(messages) FROM bi.sms_day GROUP BY 1, 2 ORDER BY 1"
    apart = [readers.ask(hours.format("sms_hour")), readers.ask(days)]
    assert apart[1] == [(DAY, "Скидка #%", 22), (NEXT, "Скидка #%", 1)]
    fold(loads, 5)
    for view in ("sms_hour", "sms_template_hour"):
        assert readers.ask(hours.format(view)) == [(DAY, 9, 20), (DAY, None, 2), (NEXT, None, 1)]
    assert readers.ask(days) == [(DAY, "Скидка #%", 22), (NEXT, "(rare)", 1)]
    few = "SELECT count(*) FROM bi.sms_frequency WHERE dimension = 'template' AND period = 'week' AND day >= %s"
    assert readers.one(few, values=(DAY,)) > 0
    fold(loads, 0)
    assert [readers.ask(hours.format("sms_hour")), readers.ask(days)] == apart


def fold(loads: Loads, below: int) -> None:
    with loads.warehouse.connect_admin() as connection:
        connection.execute("SELECT mart.fold_below(%s)", (below,))
    loads.count_months()


def test_when_a_day_arrived(loads: Loads, readers: Readers) -> None:
    today = datetime.now(MOSCOW).date()
    yesterday = today - timedelta(days=1)
    asked = datetime.now(UTC)
    for day in (today - timedelta(days=30), yesterday):
        loads.sms(day, [sms("+79160000001")], asked=asked)
    loads.sms(yesterday, [sms("+79160000001")], asked=asked)
    told = readers.ask(
        "SELECT day, loads, is_history, hours_to_load BETWEEN -4 AND 28 FROM bi.data_arrival ORDER BY day"
    )
    assert told == [(today - timedelta(days=30), 1, True, False), (yesterday, 2, False, True)]
    level = "SELECT avg((hours_to_load <= 28)::integer) FROM bi.data_arrival WHERE NOT is_history"
    assert readers.one(level) == 1


def test_what_changed_after_a_day_was_settled(loads: Loads, readers: Readers) -> None:
    rows = [sms(f"+7916000000{n}") for n in range(4)]
    loads.sms(DAY, rows)
    loads.sms(DAY, rows[:3])
    restated = "SELECT day, rows_inserted, rows_deleted, rows_change FROM bi.restatement"
    assert readers.ask(restated) == [], "it was not settled yet"
    loads.sms(DAY, rows[:3], settled=True)
    assert readers.ask(restated) == [], "what settles it restates nothing"
    loads.unchanged(DAY, 3, datetime.now(UTC))
    assert readers.ask(restated) == []
    loads.sms(DAY, rows, settled=True)
    assert readers.ask(restated) == [(DAY, 4, 3, 1)]
    assert readers.one("SELECT restated_at > was_settled_at FROM bi.restatement")


def test_the_vendors_month_beside_ours(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, [sms("+79160000001")])
    figures = {"records": [3, 1]}
    with loads.warehouse.connect_admin() as connection:
        for outcome, told in (("differs", figures), ("failed", None)):
            connection.execute(
                "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on,"
                " newest_receipt_id, outcome, figures, requests, points, code_version)"
                " SELECT 'calltouch', '101', '2024-04-01', now(), current_date, max(receipt_id),"
                " %s, %s, 1, 1, 't' FROM ops.load_receipt",
                (outcome, told and json.dumps(told)),
            )
    checked = "SELECT month, figure, vendor_value, our_value, difference, outcome, is_current FROM bi.month_check"
    assert readers.ask(checked) == [(DAY, "records", 3, 1, -2, "differs", True)]
    loads.sms(DAY, [])
    assert readers.one("SELECT is_current FROM bi.month_check") is False


PRICES = (
    "calltouch,,,segment,2.00,2024-01-01,2024-04-01,RUB",
    "calltouch,,,segment,3.00,2024-04-02,,RUB",
    "calltouch,,KZ,segment,10,2024-01-01,,RUB",
    "calltouch,202,,message,5,2024-01-01,,RUB",
    "tellody,,,message,0.049,2024-01-01,,EUR",
)


@pytest.fixture
def priced(loads: Loads) -> None:
    rows = [
        sms("+79160000001", segments=2),
        sms("+79160000002", None, "failed", "expired"),
        sms("+77010000002", outcome="failed", reason="expired", segments=3, country="KZ"),
    ]
    for site in (101, 202):
        loads.sms(DAY, rows, site)
    loads.sms(NEXT, rows[:1])
    loads.rows("tellody_activity", "main", DAY, [activity(sms_sent=1000, email_sent=50)])


@pytest.mark.usefixtures("priced")
def test_cost_by_the_most_particular_price_of_the_day(loads: Loads, readers: Readers) -> None:
    assert readers.one("SELECT count(cost) FROM bi.sms_cost") == 0, "no price is not 0"
    assert set_prices(loads, *PRICES) == ["price list of 5 lines"]
    assert set_prices(loads, *PRICES) == []
    cost: dict[Any, Any] = dict(
        readers.ask("SELECT (account, day)::text, sum(cost) FROM bi.sms_cost GROUP BY 1")
    )
    assert cost == {
        f"(101,{DAY})": Decimal(2 * 2 + 3 * 10),  # one has no text: segments unknown
        f"(202,{DAY})": Decimal(2 * 5 + 3 * 0 + 5),
        f"(101,{NEXT})": Decimal(2 * 3),
        f"(main,{DAY})": Decimal("49.000"),
    }
    wasted = "SELECT sum(cost_of_failed) FROM bi.sms_cost WHERE currency = 'RUB' AND account = '{}'"
    assert readers.one(wasted.format("101")) == 30
    assert readers.one(wasted.format("202")) == 10
    assert (
        readers.one("SELECT sum(cost_of_failed) FROM bi.sms_cost WHERE vendor = 'tellody'") is None
    )
    messages = "SELECT sum(messages) FROM bi.sms_cost WHERE vendor = 'calltouch'"
    assert readers.one(messages) == readers.one("SELECT sum(messages) FROM bi.sms_day")
    set_prices(loads)
    assert readers.one("SELECT count(cost) FROM bi.sms_cost") == 0, "replaced as a whole"
