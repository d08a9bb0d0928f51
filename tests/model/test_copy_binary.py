"""Fields of binary COPY, judged by the servers that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.model.batch import Reject
from dagster_project.model.copy_binary import NULL, Unencodable, encode, encode_batch
from dagster_project.model.table import Column, Table
from dagster_project.warehouse.connection import Warehouse
from tests.support.copying import CopyTable

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
STORABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
DECIMALS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=60),
        st.integers(-60, 60),
    ),
)
FIRST_AND_LAST = (datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": STORABLE,
    "json": st.sampled_from(["null", '{"a": "\\u0000\\ud800"}', " [1,\n1.50] ", '"ё"']),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamptz": st.datetimes(*FIRST_AND_LAST, timezones=OFFSETS),
    "uuid": st.uuids(),
    "numeric": DECIMALS,
}
COLUMNS = [Column(f"c_{name}", name) for name in VALUES]
ROWS = st.lists(
    st.tuples(*(st.one_of(st.none(), strategy) for strategy in VALUES.values())), max_size=20
)
SMALL = Table(
    "small",
    "day",
    "account",
    (Column("day", "date"), Column("account", "text"), Column("amount", "numeric")),
    ("day", "account"),
    "md5(account)::uuid",
)


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with warehouse.connect_admin() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def as_postgres_shows(column: Column, value: Any) -> Any:
    if column.type != "numeric" or value is None:
        return value
    shown = format(value, "f")
    return shown.removeprefix("-") if value == 0 else shown


@pytest.mark.both_servers
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_postgres_reads_the_value_that_was_encoded(
    connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]
) -> None:
    table = CopyTable(connection, COLUMNS)
    records = [b"".join(map(encode, VALUES, row)) for row in rows]

    copied = table.round_trip(records)

    assert copied == [tuple(map(as_postgres_shows, COLUMNS, row)) for row in rows]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1E+131071"),
        Decimal("-1E-16383"),
        Decimal((0, (9,) * 147_455, -16_383)),
        Decimal("0E-16383"),
        Decimal("-0.00"),
        Decimal("0E+7"),
        10**60,
    ],
    ids=lambda value: f"{Decimal(value):.3E}",
)
def test_a_numeric_at_its_limits_stays_exact(
    connection: psycopg.Connection[Any], value: Decimal
) -> None:
    table = CopyTable(connection, [Column("amount", "numeric")])

    [(copied,)] = table.round_trip([encode("numeric", value)])

    assert copied == as_postgres_shows(Column("amount", "numeric"), Decimal(value))


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("bigint", 2**63),
        ("bigint", -(2**63) - 1),
        ("integer", 2**31),
        ("smallint", 2**15),
        ("bigint", True),
        ("bigint", 1.0),
        ("bigint", "1"),
        ("numeric", 0.1),
        ("numeric", True),
        ("numeric", Decimal("NaN")),
        ("numeric", Decimal("-Infinity")),
        ("numeric", Decimal("1E+131072")),
        ("numeric", Decimal("1E-16384")),
        ("numeric", Decimal("0E-16384")),
        ("text", "a\x00b"),
        ("text", "a\ud800"),
        ("text", b"bytes"),
        ("boolean", 1),
        ("date", datetime(2024, 4, 1, tzinfo=UTC)),
        ("date", "2024-04-01"),
        ("timestamptz", datetime(2024, 4, 1)),  # noqa: DTZ001
        ("timestamptz", date(2024, 4, 1)),
        ("uuid", b"fifteen bytes.."),
        ("uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ],
)
def test_what_a_type_cannot_hold_exactly_is_refused_without_being_quoted(
    type_name: str, value: Any
) -> None:
    with pytest.raises(Unencodable) as refusal:
        encode(type_name, value)

    assert str(value) not in str(refusal.value)


def test_none_is_null_in_every_type() -> None:
    assert {encode(name, None) for name in VALUES} == {NULL}


def test_a_uuid_is_taken_as_bytes_too() -> None:
    value = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

    assert encode("uuid", value.bytes) == encode("uuid", value)


def small_row(day: date, account: str, amount: Any) -> dict[str, Any]:
    return {"day": day, "account": account, "amount": amount}


def test_rows_become_parallel_arrays() -> None:
    first, second = date(1999, 12, 31), date(2000, 1, 2)
    rows = [small_row(first, "a", Decimal("1.50")), small_row(second, "b", None)]

    batch = encode_batch(SMALL, rows, lambda row: row["account"].encode() * 16)

    assert batch.days.tolist() == [-1, 1]
    assert batch.days.dtype == np.int32
    assert batch.keys == b"a" * 16 + b"b" * 16
    assert batch.records[1] == encode("date", second) + encode("text", "b") + NULL
    assert batch.hashes.tolist() == [xxhash.xxh3_64_intdigest(r) for r in batch.records]
    assert (batch.received, len(batch), batch.rejects) == (2, 2, [])


def test_no_rows_are_an_empty_batch() -> None:
    batch = encode_batch(SMALL, [], lambda row: bytes(16))

    assert (len(batch), batch.received, len(batch.days), len(batch.hashes)) == (0, 0, 0, 0)


def test_texts_are_made_storable_and_counted() -> None:
    day = date(2024, 4, 1)

    batch = encode_batch(SMALL, [small_row(day, "a\0\ud800", 1)], lambda row: bytes(16))

    assert encode("text", "a\u2400\ufffd") in batch.records[0]
    assert batch.counts == Counter(nul_replaced=1, surrogate_replaced=1)


def test_a_row_that_cannot_be_encoded_is_set_aside_with_its_original() -> None:
    day = date(2024, 4, 1)
    rows = [small_row(day, "a", 1), small_row(day, "b", 0.5)]

    batch = encode_batch(SMALL, rows, lambda row: bytes(16), originals=["first", "second"])

    assert batch.rejects == [
        Reject("amount: numeric: not a finite decimal", original="second", day=day)
    ]
    assert (len(batch), batch.received) == (1, 2)


def test_a_row_that_cannot_be_encoded_raises_where_no_originals_are_given() -> None:
    with pytest.raises(Unencodable, match="amount"):
        encode_batch(SMALL, [small_row(date(2024, 4, 1), "a", 0.5)], lambda row: bytes(16))
