"""Days that add up to their year in any zone; purchases that come out exact while others arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.batch import Batch
from dagster_project.model.response import ExtractStats, Response
from dagster_project.sandbox.tellody.purchases import UNDATABLE_SHAPES
from dagster_project.vendors.tellody import activity_rows, purchase_rows
from dagster_project.vendors.tellody.activity_rows import read_totals
from tests.support.date_shapes import SHAPES
from tests.vendors.tellody.conftest import Rig

StartRig = Callable[..., Rig]
PAYMENTS = "*/CreditsController/PaymentHistory"


@pytest.mark.parametrize(
    ("zone", "clock_changes"),
    [
        ("Europe/Athens", {date(2023, 3, 26): 23, date(2023, 10, 29): 25}),
        ("America/Santiago", {date(2023, 4, 1): 25, date(2023, 9, 3): 23}),
        ("Australia/Lord_Howe", {date(2023, 4, 2): 24.5, date(2023, 10, 1): 23.5}),
    ],
)
def test_a_year_of_days_adds_up_to_one_call_over_the_year(
    rig: StartRig, zone: str, clock_changes: dict[date, float]
) -> None:
    played = rig(time_zone=zone)
    client, year = played.activity(), played.window(date(2023, 1, 1), date(2023, 12, 31))
    sums: Counter[str] = Counter()
    lengths: dict[date, float] = {}
    for answer in client.extract(year, ExtractStats()):
        assert isinstance(answer, Response)
        sums.update({name: total or 0 for name, total in totals_of(answer).items()})
        asked = answer.request["json"]
        lengths[date.fromisoformat(answer.request["day"])] = (
            asked["to"] - asked["from"] + 1
        ) / 3_600_000
    assert dict(sums) == client.totals(year, ExtractStats())
    assert min(sums.values()) > 100, "opt-outs are few"
    assert {day: hours for day, hours in lengths.items() if hours != 24} == clock_changes
    assert len(lengths) == 365


def test_the_documents_week_is_asked_for_in_its_own_milliseconds(rig: StartRig) -> None:
    played = rig()
    week = played.window(date(2015, 8, 4), date(2015, 8, 10))
    days = [
        day for day in played.activity().extract(week, ExtractStats()) if isinstance(day, Response)
    ]
    bounds = [day.request["json"] for day in days]
    assert bounds[0] == {"from": 1438635600000, "to": 1438721999999, "unit": "day", "dow": 0}
    assert bounds[-1]["to"] == 1439240399999


def test_days_become_rows_and_the_totals_are_the_vendors(rig: StartRig) -> None:
    played = rig()
    window = played.window(date(2024, 3, 30), date(2024, 4, 2))
    stats = ExtractStats()
    answers = [a for a in played.activity().extract(window, stats) if isinstance(a, Response)]
    batches = [activity_rows.to_batch(answer, window) for answer in answers]
    assert [len(batch) for batch in batches] == [1, 1, 1, 1]
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4]
    assert stats.pages == 4


@pytest.mark.parametrize(
    ("kind", "params", "complaint"),
    [
        ("odd_total", {"key": "URL", "value": "12"}, "URL is no whole number"),
        ("odd_total", {"key": "VOUCHER", "value": 1.0}, "VOUCHER is no whole number"),
    ],
)
def test_a_total_that_is_odd_sets_its_day_aside(
    rig: StartRig, kind: str, params: dict[str, Any], complaint: str
) -> None:
    played = rig()
    played.fault(kind, "*/UniqueCode", **params)
    window = played.window(date(2024, 4, 1))
    [answer] = played.activity().extract(window, ExtractStats())
    assert isinstance(answer, Response)
    batch = activity_rows.to_batch(answer, window)
    assert len(batch) == 0
    assert complaint in batch.rejects[0].reason


@pytest.mark.parametrize(
    ("kind", "params", "column"),
    [
        ("missing_key", {"key": "DL"}, "downloads"),
        ("odd_total", {"key": "URL", "value": None}, "url_clicks"),
    ],
)
def test_a_total_that_is_absent_or_null_is_not_known(
    rig: StartRig, kind: str, params: dict[str, Any], column: str
) -> None:
    played = rig()
    played.fault(kind, "*/UniqueCode", **params)
    window = played.window(date(2024, 4, 1))
    [answer] = played.activity().extract(window, ExtractStats())
    assert isinstance(answer, Response)
    unknown = [name for name, total in totals_of(answer).items() if total is None]
    assert unknown == [column]
    assert len(activity_rows.to_batch(answer, window)) == 1


def totals_of(answer: Response) -> dict[str, int | None]:
    return read_totals(answer.body).columns()


def read_purchases(played: Rig, stats: ExtractStats) -> tuple[Counter[int], list[Batch]]:
    """How often each purchase would be loaded, and the batches of all pages."""
    ever = played.window(date(2000, 1, 1), date(2100, 1, 1), source="tellody_purchases")
    batches = [
        purchase_rows.to_batch(answer, ever)
        for answer in played.purchases().extract(ever, stats)
        if isinstance(answer, Response)
    ]
    keys = b"".join(batch.keys for batch in batches)
    numbers = [int.from_bytes(keys[at : at + 16], "big") for at in range(0, len(keys), 16)]
    return Counter(numbers), batches


@pytest.mark.parametrize("arrivals", [0, 7, None])
@pytest.mark.parametrize("cap", [0, 100])
def test_2500_purchases_come_out_exact_while_new_ones_arrive_between_pages(
    rig: StartRig, cap: int, arrivals: int | None
) -> None:
    played = rig(per_page_cap=cap, purchase_every_hours=3.355)
    assert len(played.tellody.purchases()) == 2500
    if arrivals != 0:
        played.fault("page_drift", PAYMENTS, times=arrivals, match={"nth": 2})
    stats = ExtractStats()
    loaded, batches = read_purchases(played, stats)
    assert loaded == Counter({purchase.payment_id: 1 for purchase in played.tellody.purchases()})
    assert stats.vendor_total == sum(loaded.values())
    assert stats.pages == len(batches)
    assert sum(batch.received for batch in batches) == stats.vendor_total
    assert stats.pages == 1 if not cap else stats.pages >= 25


def test_one_call_reads_the_history_where_the_server_allows_it(rig: StartRig) -> None:
    played = rig()
    stats = ExtractStats()
    read_purchases(played, stats)
    assert played.calls("/PaymentHistory") == 1
    assert (stats.requests, stats.pages) == (4, 1)


def test_every_shape_of_a_date_is_loaded_or_set_aside(rig: StartRig) -> None:
    played = rig(date_shapes=[*SHAPES, *UNDATABLE_SHAPES], purchase_every_hours=20)
    loaded, batches = read_purchases(played, ExtractStats())
    zone = ZoneInfo("Europe/Athens")
    datable = {p.payment_id for p in played.tellody.purchases() if p.row(zone) is not None}
    rejected = [reject for batch in batches for reject in batch.rejects]
    assert set(loaded) == datable
    assert len(loaded) + len(rejected) == len(played.tellody.purchases())
    assert {reject.reason for reject in rejected} == {
        "date: null",
        "date: a text that is not an ISO 8601 date and time",
    }


def test_a_history_whose_paging_does_not_work_is_an_error(rig: StartRig) -> None:
    played = rig(per_page_cap=50, paging=False)
    with pytest.raises(AnswerNotTrusted, match="paging does not work"):
        read_purchases(played, ExtractStats())


def test_purchases_that_vanish_between_pages_are_not_loaded(rig: StartRig) -> None:
    played = rig(per_page_cap=50)
    played.fault("rows_vanish", PAYMENTS, match={"nth": 3}, count=2)
    loaded, _ = read_purchases(played, ExtractStats())
    assert set(loaded) == {purchase.payment_id for purchase in played.tellody.purchases()}


def test_a_page_that_is_page_0_again_is_an_error(rig: StartRig) -> None:
    played = rig(per_page_cap=50)
    played.fault("page_twice", PAYMENTS, match={"nth": 3})
    with pytest.raises(AnswerNotTrusted, match="page 2 of the purchases equals page 0"):
        read_purchases(played, ExtractStats())


def test_a_re_dated_purchase_is_read_once_with_its_new_day(rig: StartRig) -> None:
    played = rig()
    purchase = played.tellody.purchases()[5]
    moved = played.tellody.resend(
        purchase.payment_id, millis=purchase.millis - 40 * 86_400_000, invoice_history="[1.10]"
    )
    loaded, batches = read_purchases(played, ExtractStats())
    assert loaded[moved.payment_id] == 1
    assert any(b"[1.10]" in record for batch in batches for record in batch.records)


def test_the_window_does_not_narrow_what_is_asked(rig: StartRig) -> None:
    played = rig()
    day = played.window(date(2024, 5, 1), date(2024, 5, 1) + timedelta(days=3))
    [answer] = played.purchases().extract(day, ExtractStats())
    assert isinstance(answer, Response)
    assert len(answer.page.records) == len(played.tellody.purchases())
    assert answer.request["params"] == {"page": 0, "per_page": 20000}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"data": [], "count": 1000000000000000000}', "count is a number of 19 digits"),
        ('{"data": [], "count": -1}', "count is missing or no whole number from 0"),
        ('{"data": [], "count": "0"}', "count is missing or no whole number from 0"),
        ('{"data": {"0": {}}, "count": 1}', "data is missing or no list, but an object"),
        ('{"data": null, "count": 1}', "data is missing or no list, but null"),
        ("[]", "no object, but a list"),
        ("null", "no object, but null"),
        ('Warning: x {"data": [], "count": 0}', "there is other text before the JSON"),
        ('{"data": [], "count": 0}<br>', "there is other text after the JSON"),
    ],
)
def test_purchases_of_an_unknown_form_are_asked_for_once(
    rig: StartRig, body: str, said: str
) -> None:
    played = rig()
    played.fault("not_json", PAYMENTS, times=None, body=body)
    with pytest.raises(AnswerNotTrusted) as failure:
        read_purchases(played, ExtractStats())
    assert said in str(failure.value)
    assert played.calls("/PaymentHistory") == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[]", "with a list, not an object"),
        ("7", "with a number, not an object"),
        ('Warning: x {"SMS_SENT": 0}', "there is other text before it"),
        ('{"SMS_SENT": 0} {}', "there is other text after it"),
    ],
)
def test_totals_of_an_unknown_form_are_asked_for_once(rig: StartRig, body: str, said: str) -> None:
    played = rig()
    played.fault("not_json", "*/Report/UniqueCode", times=None, body=body)
    with pytest.raises(AnswerNotTrusted) as failure:
        list(played.activity().extract(played.window(date(2024, 4, 1)), ExtractStats()))
    assert said in str(failure.value)
    assert played.calls("/UniqueCode") == 1
