"""A person in a day in every way there is, and the search for what is left of them."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import psycopg
import zstandard
from click.testing import CliRunner, Result

from dagster_project.cli.main import warehouse
from tests.support.operating import House

DIGITS = "9201234567"
LONG_TEXT = "Уважаемый Иван, ваш заказ собран и ждёт вас по адресу: улица Ленина, дом 5. " * 2


def sms(day: date, phone: Any, text: str, second: int = 0, status: str = "delivered") -> bytes:
    row = {
        "phoneNumber": phone,
        "dateSent": f"{day:%d-%m-%Y} 09:{second // 60:02}:{second % 60:02}",
        "smsStatus": status,
        "smsStatusDetail": "Доставлено" if status == "delivered" else "Ожидание статуса",
        "smsMessage": text,
    }
    return json.dumps(row, ensure_ascii=second % 2 == 0).encode()


def a_day(day: date, *, waiting: str = "waiting") -> list[bytes]:
    """Thirty SMS to others, and all the ways in which a person can be in a day."""
    others = [sms(day, f"7921000{n:04}", f"Ваш заказ {n} готов", n) for n in range(30)]
    own = [
        sms(day, "79201234567", LONG_TEXT, 40),
        sms(day, "79201234567", LONG_TEXT, 40, waiting),
        sms(day, "+7 (920) 123-45-67", "Код 4411", 41),
        sms(day, "8-920-123-45-67", "Код 4412", 42, "waiting"),
        sms(day, "9201234567", "Код 4413", 43),
    ]
    mentions = [
        sms(day, "79219999991", "Перезвоните: +7 920 123-45-67, Иван", 50),
        sms(day, "79219999992", "тел.8(920)1234567;код 12", 51),
        sms(day, "79219999993", "заказ 55589201234567 готов", 52),
        sms(day, "79219999994", "9 2 0 1 2 3 4 5 6 7", 53),
        sms(day, "79219999995", "позвоните 8 800 555-35-35", 54),
    ]
    unreadable = [
        sms(day, 79201234567, "число вместо текста", 60),
        sms(day, "79219999996", "x", 61).replace(b'"delivered"', b"7"),
        json.dumps({"phoneNumber": None, "note": "мой номер 8 920 123 45 67"}).encode(),
    ]
    return others + own + mentions + unreadable


def forget(*numbers: str) -> Result:
    """``warehouse forget`` with these numbers on standard input."""
    return command("forget", given="\n".join(numbers))


def command(*words: str, given: str = "") -> Result:
    """``warehouse`` with these words, in this process."""
    return CliRunner().invoke(
        warehouse, list(words), input=given, standalone_mode=False, catch_exceptions=False
    )


def traces(house: House, digits: str = DIGITS) -> list[str]:
    """Every place of both databases that holds the number, whatever stands between its digits."""
    found = []
    for database in (house.warehouse.database, house.warehouse.dagster_database):
        with house.warehouse.connect_admin(database=database) as connection:
            for table in _tables(connection):
                for (text,) in connection.execute(f"SELECT t::text FROM {table} t".encode()):
                    if digits in re.sub("[^0-9]", "", text):
                        found.append(table)
    for (body,) in house.rows("SELECT body FROM raw.response"):
        text = zstandard.ZstdDecompressor().decompress(body).decode()
        if any(digits in re.sub("[^0-9]", "", row) for row in _elements(text)):
            found.append("a stored body")
    return sorted(set(found))


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    """All but the stored bodies, whose bytes say nothing until they are decompressed."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            " AND (schemaname, tablename) <> ('raw', 'response')"
        )
    ]


def _elements(text: str) -> list[str]:
    document = json.loads(text)
    return [json.dumps(row, ensure_ascii=False) for row in document["data"]["smsDetails"]]
