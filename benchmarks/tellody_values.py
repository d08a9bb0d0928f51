"""Joda-Time dates and purchase rows, values a second: the product, a plain loop, pandas.

All three do the same work on the same decoded values: UTC instant, the day in the value's own zone and
in the account's, and each of the 18 derived fields held against ``millis``. Runs are interleaved;
what counts is the ratio of medians. CPU seconds, so that neighbours on the machine do not show.

    .venv/bin/python -m benchmarks.tellody_values [values]
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import median
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.sandbox.tellody.purchases import Purchase
from dagster_project.vendors.tellody.joda_column import normalize_column
from dagster_project.vendors.tellody.purchase_rows import to_batch

ATHENS = ZoneInfo("Europe/Athens")
ROUNDS = 5
DERIVED = (
    ("year", "year"),
    ("yearOfEra", "year"),
    ("monthOfYear", "month"),
    ("dayOfMonth", "day"),
    ("hourOfDay", "hour"),
    ("minuteOfHour", "minute"),
    ("secondOfMinute", "second"),
)


def plain_dates(values: list[Any]) -> list[Any]:
    zones: dict[str, ZoneInfo] = {}
    dated = []
    for value in values:
        name = value["zone"]["id"]
        zone = zones.get(name) or zones.setdefault(name, ZoneInfo(name))
        wall = datetime.fromtimestamp(value["millis"] / 1000, zone)
        weekyear, week, weekday = wall.isocalendar()
        minute = wall.hour * 60 + wall.minute
        wrong = [joda for joda, name in DERIVED if value[joda] != getattr(wall, name)]
        for joda, right in (
            ("era", 1),
            ("centuryOfEra", wall.year // 100),
            ("yearOfCentury", wall.year % 100),
            ("weekyear", weekyear),
            ("weekOfWeekyear", week),
            ("dayOfWeek", weekday),
            ("dayOfYear", wall.timetuple().tm_yday),
            ("minuteOfDay", minute),
            ("secondOfDay", minute * 60 + wall.second),
            ("millisOfDay", (minute * 60 + wall.second) * 1000 + wall.microsecond // 1000),
            ("millisOfSecond", wall.microsecond // 1000),
        ):
            if value[joda] != right:
                wrong.append(joda)
        dated.append((wall.astimezone(UTC), wall.date(), wall.astimezone(ATHENS).date(), wrong))
    return dated


def pandas_dates(values: list[Any]) -> Any:
    frame = pd.DataFrame(values)
    frame["name"] = [value["zone"]["id"] for value in values]
    parts = []
    for name, rows in frame.groupby("name"):
        utc = pd.to_datetime(rows["millis"], unit="ms", utc=True)
        wall = utc.dt.tz_convert(name)
        week = wall.dt.isocalendar()
        minute = wall.dt.hour * 60 + wall.dt.minute
        millis = wall.dt.microsecond // 1000
        right = {joda: getattr(wall.dt, part) for joda, part in DERIVED} | {
            "era": 1,
            "centuryOfEra": wall.dt.year // 100,
            "yearOfCentury": wall.dt.year % 100,
            "weekyear": week["year"],
            "weekOfWeekyear": week["week"],
            "dayOfWeek": week["day"],
            "dayOfYear": wall.dt.day_of_year,
            "minuteOfDay": minute,
            "secondOfDay": minute * 60 + wall.dt.second,
            "millisOfDay": (minute * 60 + wall.dt.second) * 1000 + millis,
            "millisOfSecond": millis,
        }
        wrong = {joda: rows[joda] != value for joda, value in right.items()}
        account_day = utc.dt.tz_convert("Europe/Athens").dt.date
        parts.append(
            pd.DataFrame({"utc": utc, "day": wall.dt.date, "account_day": account_day, **wrong})
        )
    return pd.concat(parts).sort_index()


def product_dates(values: list[Any]) -> Any:
    column = normalize_column(values, ATHENS)
    return column, column.instants(), column.days_in(ATHENS)


def plain_rows(body: bytes) -> str:
    records = json.loads(body, parse_float=Decimal)["data"]
    dated = plain_dates([record["date"] for record in records])
    out = io.StringIO()
    csv.writer(out).writerows(
        (
            when[2],
            "main",
            record["paymentId"],
            when[0],
            record["date"]["zone"]["id"],
            record["amount"],
            record["credits"],
            record["months"],
            record["paymentMethod"],
            record["cardLastDigits"],
            record["accountType"],
            json.dumps(record["invoiceHistory"]),
        )
        for record, when in zip(records, dated, strict=True)
    )
    return out.getvalue()


def pandas_rows(body: bytes) -> Any:
    records = json.loads(body, parse_float=Decimal)["data"]
    frame = pd.DataFrame(records)
    dated = pandas_dates(list(frame["date"]))
    frame["purchased_at"], frame["purchased_on"] = dated["utc"], dated["account_day"]
    frame["invoiceHistory"] = frame["invoiceHistory"].map(json.dumps)
    return frame.drop(columns="date").to_csv(index=False)


def product_rows(body: bytes) -> Any:
    now = datetime.now(UTC)
    window = Window(
        date(2000, 1, 1), date(2100, 1, 1), Account("tellody_purchases", "main", ATHENS)
    )
    return to_batch(Response(1, {}, now, now, 200, "application/json", body), window)


def medians(ways: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, float]]:
    """CPU seconds of each way: median, and spread from fastest to slowest over the median."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            begun = process_time()
            run()
            taken[name].append(process_time() - begun)
    return {
        name: (median(times), (max(times) - min(times)) / median(times))
        for name, times in taken.items()
    }


def tables(count: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """The ways to do each of the two, on so many values."""
    draw = random.Random(1)
    zones = ["Europe/Athens"] * 8 + ["America/Santiago", "Australia/Lord_Howe"]
    purchases = [
        Purchase(n, draw.randrange(1_262_304_000_000, 1_767_225_600_000), draw.choice(zones))
        for n in range(count)
    ]
    body = f'{{"data":[{",".join(p.to_json() for p in purchases)}],"count":{count}}}'.encode()
    values = [purchase.date() for purchase in purchases]
    return {
        "Joda dates": {
            "product": lambda: product_dates(values),
            "plain loop": lambda: plain_dates(values),
            "pandas": lambda: pandas_dates(values),
        },
        "purchase rows, from the body to what COPY takes (the product also hashes and checks them)": {
            "product": lambda: product_rows(body),
            "plain loop": lambda: plain_rows(body),
            "pandas": lambda: pandas_rows(body),
        },
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    for title, ways in tables(count).items():
        found = medians(ways)
        own = found["product"][0]
        print(title)
        for name, (seconds, spread) in found.items():
            print(
                f"  {name:10}  {count / seconds:10,.0f} a CPU second   ±{spread / 2:4.0%}"
                f"   product is {seconds / own:4.1f} times as fast"
            )


if __name__ == "__main__":
    main()
