"""The user's price list: every line is checked, and one that cannot be taken changes nothing."""

from __future__ import annotations

import threading
import time

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.labels import load_labels
from dagster_project.warehouse.price_list import PRICE_COLUMNS

GOOD = "calltouch,101,RU,segment,2.5,2024-01-01,2024-12-31,RUB"


@pytest.fixture
def known(warehouse: Warehouse) -> Warehouse:
    with warehouse.connect(what="test") as connection:
        connection.execute("SELECT mart.register_account('calltouch', '101', 'Europe/Moscow')")
        connection.commit()
    return warehouse


def take(warehouse: Warehouse, *lines: str) -> list[str]:
    with warehouse.connect(what="test") as connection:
        changed = load_labels(connection, [",".join(PRICE_COLUMNS), *lines], "prices.csv")
        connection.commit()
    return changed


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("calltouch,999,RU,segment,2,2024-01-01,,RUB", "no account calltouch 999"),
        ("tellody,,,message,2,2024-01-01,,EUR", "no account tellody (none)"),
        ("calltouch,,Russia,segment,2,2024-01-01,,RUB", "country is 'Russia'"),
        ("calltouch,,ru,segment,2,2024-01-01,,RUB", "country is 'ru'"),
        ("calltouch,,,sms,2,2024-01-01,,RUB", "per is 'sms'"),
        ("calltouch,,,segment,,2024-01-01,,RUB", "price is 'empty'"),
        ('calltouch,,,segment,"2,5",2024-01-01,,RUB', "price is '2,5'"),
        ("calltouch,,,segment,-1,2024-01-01,,RUB", "price is '-1'"),
        ("calltouch,,,segment,NaN,2024-01-01,,RUB", "price is 'NaN'"),
        ("calltouch,,,segment,0.0000001,2024-01-01,,RUB", "price is '0.0000001'"),
        ("calltouch,,,segment,1,,,RUB", "from is 'empty'"),
        ("calltouch,,,segment,1,01.02.2024,,RUB", "from is '01.02.2024'"),
        ("calltouch,,,segment,1,2024-02-01,2024-01-01,RUB", "to is '2024-01-01'"),
        ("calltouch,,,segment,1,2024-02-01,,rubles", "currency is 'rubles'"),
        ("calltouch,101,RU,segment,3,2024-12-31,,RUB", "the same days as prices.csv, line 2"),
    ],
)
def test_a_line_that_cannot_be_taken_is_named(known: Warehouse, line: str, complaint: str) -> None:
    take(known, "calltouch,,,segment,1,2024-01-01,,RUB")
    with pytest.raises(SettingsError, match=r"prices\.csv, line 3: ") as caught:
        take(known, GOOD, line)
    assert complaint in str(caught.value)
    assert prices(known) == ["1.000000"]


def test_lines_that_follow_each_other_are_taken(known: Warehouse) -> None:
    later = "calltouch,101,RU,segment,3,2025-01-01,,RUB"
    assert take(known, GOOD, later, "calltouch,101,,message,4,2024-01-01,,RUB")
    assert prices(known) == ["2.500000", "3.000000", "4.000000"]


def test_of_two_lists_at_once_one_stands(known: Warehouse) -> None:
    with known.connect(what="test") as first:
        load_labels(first, [",".join(PRICE_COLUMNS), GOOD], "prices.csv")
        other = "calltouch,101,KZ,segment,7,2024-01-01,,RUB"
        second = threading.Thread(target=take, args=(known, other))
        second.start()
        with known.connect_admin() as watching:
            while second.is_alive() and not is_waiting(watching):
                time.sleep(0.05)
        first.commit()
        second.join(timeout=60)
    assert prices(known) == ["7.000000"]


def is_waiting(connection: Connection) -> bool:
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return connection.execute(waiting).fetchone() is not None


def prices(warehouse: Warehouse) -> list[str]:
    with warehouse.connect_admin() as connection:
        rows = connection.execute("SELECT price::text FROM mart.sms_price ORDER BY price")
        return [row[0] for row in rows.fetchall()]
