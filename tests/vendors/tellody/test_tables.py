"""Tellody's answers in real Postgres: exact to the cent and the millisecond, and unmoved by a rerun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from dagster_project.model.daily_totals import ONLY_ROW_OF_ITS_DAY
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats, Response
from dagster_project.model.window import Window
from dagster_project.vendors.tellody import activity_rows, purchase_rows
from dagster_project.vendors.tellody.joda_column import normalize_column
from dagster_project.vendors.tellody.older_purchases import read_older
from tests.support.date_shapes import SHAPES
from tests.vendors.tellody.conftest import Loader, Rig, answer, page, purchase, window

SAMPLES = Path(__file__).parents[2] / "data"
PURCHASES = window(date(2015, 1, 1), date(2015, 12, 31))
ATHENS = ZoneInfo("Europe/Athens")


def load(
    loader: Loader, answers: Sequence[Response], of: Window = PURCHASES, wanted: Sequence[date] = ()
) -> list[Receipt]:
    table, to_batch = purchase_rows.TABLE, purchase_rows.to_batch
    return loader.load(table, to_batch, answers, of, wanted or None)


def written(receipts: Sequence[Receipt]) -> int:
    return sum(r.rows_inserted + r.rows_updated + r.rows_deleted for r in receipts)


@pytest.mark.both_servers
def test_the_documents_purchases_are_what_a_person_reads_in_them(loader: Loader) -> None:
    load(loader, [answer((SAMPLES / "tellody_purchases.json").read_bytes())])
    rows = loader.rows(
        "SELECT purchased_on::text, payment_id, (purchased_at AT TIME ZONE 'Europe/Athens')::text,"
        " time_zone, amount::text, credits::text, months, payment_method, card_last_digits,"
        " account_type, invoice_history::text FROM warehouse.tellody_credit_purchase ORDER BY 1"
    )
    nothing = (None, "Paypal", None, None, None)
    assert rows == [
        ("2015-07-16", 11, "2015-07-16 12:58:40", "Europe/Athens", "4.9", "100.0", *nothing),
        ("2015-07-22", 12, "2015-07-22 12:23:04", "Europe/Athens", "4.9", "100.0", *nothing),
    ]
    assert rows[0][4] == rows[1][4] == str(Decimal("4.9"))


@pytest.mark.both_servers
def test_the_documents_activity_is_a_row_of_zeros(loader: Loader) -> None:
    day = window(date(2015, 8, 4), source="tellody_activity")
    body = (SAMPLES / "tellody_activity.json").read_bytes()
    answers = [answer(body, day="2015-08-04")]
    table, to_batch = activity_rows.TABLE, activity_rows.to_batch
    [receipt] = loader.load(table, to_batch, answers, day)
    assert receipt.rows_inserted == 1
    [again] = loader.load(table, to_batch, answers, day)
    assert (again.rows_unchanged, written([again])) == (1, 0)
    assert loader.rows(
        "SELECT activity_on::text, account, sms_sent, email_sent, downloads, optouts, url_clicks,"
        " vouchers_viewed, extra FROM warehouse.tellody_activity"
    ) == [("2015-08-04", "main", 0, 0, 0, 0, 0, 0, None)]


@pytest.mark.both_servers
def test_unknown_activity_is_kept_in_the_vendors_characters(loader: Loader) -> None:
    day = window(date(2015, 8, 4), source="tellody_activity")
    totals = ",".join(f'"{name}":7' for name in activity_rows.TOTALS)
    odd = '"PUSH":{"rate": 1.10,"s":"\\u0000\\ud800"}'
    answers = [answer(f"{{{totals},{odd}}}", day="2015-08-04")]
    loader.load(activity_rows.TABLE, activity_rows.to_batch, answers, day)
    [(extra, sms)] = loader.rows("SELECT extra::text, sms_sent FROM warehouse.tellody_activity")
    assert extra == '{"PUSH": {"rate": 1.10,"s":"\\u0000\\ud800"}}'
    assert sms == 7


MONEY = {
    "4.90": "4.90",
    "0.1": "0.1",
    "1e2": "100",
    "1E-3": "0.001",
    "-19.990": "-19.990",
    "0.00": "0.00",
    "-0": "0",
    "12345678901234567": "12345678901234567",
    "0.12345678901234567": "0.12345678901234567",
    "90071992547409930.07": "90071992547409930.07",
    "1e131071": "1" + "0" * 131071,
    "1e-16383": "0." + "0" * 16382 + "1",
    "null": None,
}


@pytest.mark.both_servers
def test_money_is_exact_from_the_answers_characters_to_numeric(loader: Loader) -> None:
    records = [
        purchase(paymentId=str(n), amount=text, credits=text) for n, text in enumerate(MONEY)
    ]
    load(loader, [page(*records)])
    rows = loader.rows(
        "SELECT amount::text, credits::text FROM warehouse.tellody_credit_purchase ORDER BY payment_id"
    )
    assert rows == [(text, text) for text in MONEY.values()]


@pytest.mark.both_servers
def test_the_table_computes_the_key_that_rows_carry(loader: Loader) -> None:
    numbers = [0, 1, 255, 2**31, 2**63 - 1, -1, -(2**31), -(2**63)]
    load(loader, [page(*(purchase(paymentId=str(n)) for n in numbers))])
    rows = loader.rows(
        f"SELECT payment_id, {purchase_rows.TABLE.key_sql} FROM warehouse.tellody_credit_purchase"
    )
    assert {n: key.bytes for n, key in rows} == {
        n: purchase_rows.key_of({"payment_id": n}) for n in numbers
    }
    assert loader.rows(f"SELECT {activity_rows.TABLE.key_sql}")[0][0].bytes == ONLY_ROW_OF_ITS_DAY


@pytest.mark.both_servers
def test_texts_and_histories_are_kept_as_the_vendor_wrote_them(loader: Loader) -> None:
    histories = [
        "[]",
        '{"n": 1.10, "n": 1e2}',
        '"\\u0000\\ud800 \\"x\\""',
        "0.10",
        '[ {"a" : null} ]',
    ]
    records = [
        purchase(
            paymentId=str(n),
            invoiceHistory=text,
            cardLastDigits='"0042"',
            accountType='"ä\\u0000\\ud800💳"',
        )
        for n, text in enumerate(histories)
    ]
    load(loader, [page(*records)])
    rows = loader.rows(
        "SELECT invoice_history::text, card_last_digits, account_type"
        " FROM warehouse.tellody_credit_purchase ORDER BY payment_id"
    )
    assert rows == [(text, "0042", "ä␀�💳") for text in histories]


@pytest.mark.both_servers
def test_days_are_those_that_postgres_itself_reckons(loader: Loader) -> None:
    """Another implementation of the tz database, in C, over a century of clock changes."""
    draw = Random(7)
    zones = ["Europe/Athens", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu"]
    drawn = [
        (draw.randrange(-2_208_988_800_000, 1_700_000_000_000), draw.choice(zones))
        for _ in range(20_000)
    ]
    column = normalize_column(
        [{"millis": millis, "zone": {"id": zone}} for millis, zone in drawn], ATHENS
    )
    reckoned = loader.rows(
        "SELECT at, (at AT TIME ZONE zone)::date - date '1970-01-01', (at AT TIME ZONE 'Europe/Athens')::date"
        " FROM (SELECT n, 'epoch'::timestamptz + millis * interval '1 ms' AS at, zone"
        " FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS t(millis, zone, n)) AS t ORDER BY n",
        [millis for millis, _ in drawn],
        [zone for _, zone in drawn],
    )
    told = zip(column.instants(), column.days.tolist(), column.days_in(ATHENS), strict=True)
    assert list(told) == reckoned


def test_a_rerun_writes_nothing_and_new_details_update_their_row_alone(loader: Loader) -> None:
    records = [purchase(paymentId=str(n), date=str(1437556984000 + n)) for n in range(50)]
    assert written(load(loader, [page(*records)])) == 50
    assert written(load(loader, [page(*reversed(records))])) == 0
    records[7] = purchase(paymentId="7", date="1437556984007", invoiceHistory='[{"no":1}]')
    receipts = load(loader, [page(*records)])
    assert [(r.day, r.rows_updated) for r in receipts if r.rows_updated] == [(date(2015, 7, 22), 1)]
    assert written(receipts) == 1
    [(changed, kept)] = loader.rows(
        "SELECT count(*) FILTER (WHERE changed_at > first_loaded_at), count(*)"
        " FROM warehouse.tellody_credit_purchase"
    )
    assert (changed, kept) == (1, 50)


def test_a_purchase_whose_date_moved_leaves_its_old_day_and_both_receipts_say_so(
    loader: Loader,
) -> None:
    load(loader, [page(purchase(), purchase(paymentId="11"))])
    moved = purchase(date='"2015-09-01T10:00:00+03:00"')
    receipts = load(loader, [page(moved, purchase(paymentId="11"))], wanted=[date(2015, 9, 1)])
    told = {r.day: (r.rows_inserted, r.rows_deleted, r.notes) for r in receipts}
    assert told[date(2015, 7, 22)][:2] == (0, 1)
    assert told[date(2015, 7, 22)][2]["moved_out"] == 1
    assert told[date(2015, 9, 1)][:2] == (1, 0)
    assert told[date(2015, 9, 1)][2]["moved_in"] == 1
    assert loader.rows(
        "SELECT payment_id, purchased_on FROM warehouse.tellody_credit_purchase ORDER BY 1"
    ) == [(11, date(2015, 7, 22)), (12, date(2015, 9, 1))]


def test_what_cannot_be_dated_is_set_aside_once_however_often_it_is_read(loader: Loader) -> None:
    odd = purchase(paymentId="13", date='{"year":2015,"note":"\\u0000"}')
    for _ in range(3):
        load(loader, [page(odd, purchase())])
    rejected = loader.rows(
        "SELECT reason, original, day, times_in_window FROM ops.rejected_record WHERE source = 'tellody_purchases'"
    )
    assert rejected == [("date: no millis, and no fields that name a day", odd, None, 1)]
    assert loader.rows("SELECT payment_id FROM warehouse.tellody_credit_purchase") == [(12,)]


@pytest.mark.parametrize("cap", [0, 60])
def test_a_played_history_of_every_shape_ends_equal_to_the_truth(
    rig: Callable[..., Rig], loader: Loader, cap: int
) -> None:
    played = rig(per_page_cap=cap, date_shapes=list(SHAPES), purchase_every_hours=30)
    if cap:
        played.fault("page_drift", "*/PaymentHistory", match={"nth": 2}, times=4)
    since = played.window(date(2024, 1, 1), date(2024, 5, 15), source="tellody_purchases")
    answers = [
        a for a in played.purchases().extract(since, ExtractStats()) if isinstance(a, Response)
    ]
    receipts = load(loader, answers, since)
    truth = list(played.tellody.truth({"from": "2024-01-01", "to": "2024-05-15"}))
    rows = loader.rows(
        "SELECT purchased_on::text, payment_id, purchased_at, time_zone, amount, credits,"
        " payment_method, card_last_digits FROM warehouse.tellody_credit_purchase ORDER BY 2"
    )
    assert rows == [
        (
            row["purchased_on"],
            row["payment_id"],
            datetime.fromisoformat(row["purchased_at"]),
            row["time_zone"],
            Decimal(row["amount"]),
            Decimal(row["credits"]),
            row["payment_method"],
            row["card_last_digits"],
        )
        for row in sorted(truth, key=lambda row: row["payment_id"])
    ]
    older = len(played.tellody.purchases()) - len(truth)
    noted = receipts[0].notes["in_window"]
    assert read_older(noted)[0] == older > 0
    replayed = [
        Response(a.sequence, a.request, a.asked_at, a.received_at, a.status, a.content_type, a.body)
        for a in answers
    ]
    assert written(load(loader, replayed, since)) == 0
