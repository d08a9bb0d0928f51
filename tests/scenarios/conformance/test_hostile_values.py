"""Any JSON a vendor could send is loaded exactly, or set aside with its reason and its original.

Through the whole pipeline: HTTP, stored responses, rows, COPY, rejects, marts. A record that cannot be
loaded costs the others nothing; where the one row of a day cannot be (Tellody's totals, Trust's
figures), the day fails and its old row stands.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted, TryLater
from dagster_project.text.sanitize import sanitize
from dagster_project.vendors.tellody.activity_rows import TOTALS
from tests.scenarios.conformance.entry import DAYS
from tests.scenarios.conformance.hostile import (
    ENDLESS_NUMBERS,
    HUGE_TEXT,
    NUMBERS,
    TEXTS,
    VALUES,
    exactly,
    object_of,
    write,
)
from tests.scenarios.conformance.rig import Refreshed, Rig

DAY = DAYS[1]
A_FEW = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = settings(A_FEW, max_examples=1_500)
Example = Callable[[Rig, st.DataObject], None]


@dataclass(frozen=True, repr=False)
class Record:
    """A record as JSON text, and the row that it should become: None if none can."""

    text: str
    row: tuple[Any, ...] | None

    def __repr__(self) -> str:
        return f"{self.text[:300]} … {len(self.text)}" if len(self.text) > 300 else self.text


def kept(text: str) -> str:
    """A text as it should stand; halves of a surrogate pair, once written, are one character."""
    return sanitize(json.loads(json.dumps(text)), Counter())


# --- Calltouch -----------------------------------------------------------------------------------

TAKING_ALL = {"accept_shrink": True, "accept_rejects": True}
"""Each example takes the place of the one before, whatever that was."""
FORMATS = (
    *("%d-%m-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y.%m.%d %H:%M:%S"),
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"),
)
IN_TIME = st.builds(
    lambda second, form: (
        datetime.combine(DAY, time.min, UTC) + timedelta(seconds=second)
    ).strftime(form),
    st.integers(0, 86_399),
    st.sampled_from(FORMATS),
)
OUT_OF_TIME = st.sampled_from(
    [
        *("01-01-0001 00:00:00", "31-12-9999 23:59:59", "15-05-2025 10:00:00"),
        *("00-05-2024 10:00:00", "31-02-2024 10:00:00", "12-05-2024 24:00:00"),
        *("12-05-2024 23:59:60", "12-05-2024", "2024-05-12T10:00", "", "вчера"),
        *("१२-०५-२०२४ 10:00:00", "12-05-2024 10:00:00\x00", " 12-05-2024 10:00:00"),
    ]
)
GOOD_PHONE = st.from_regex(r"79\d{9}", fullmatch=True)
SMS_KEYS = ("phoneNumber", "dateSent", "smsStatus", "smsStatusDetail", "smsMessage")


@st.composite
def sms(draw: st.DrawFn) -> Record:
    """An SMS record, good in some of its fields and hostile in others."""
    if draw(st.integers(0, 9)) == 0:
        return Record(draw(VALUES.filter(lambda text: not text.startswith("{"))), None)
    in_time = draw(st.booleans()) or draw(st.booleans())
    texts = {
        "phoneNumber": draw(GOOD_PHONE | TEXTS),
        "dateSent": draw(IN_TIME if in_time else OUT_OF_TIME),
        "smsStatus": draw(st.sampled_from(["delivered", "waiting", "read"]) | TEXTS),
        "smsStatusDetail": draw(st.just("Доставлено") | TEXTS),
        "smsMessage": draw(TEXTS if draw(st.integers(0, 30)) else HUGE_TEXT),
    }
    fields = [(key, write(text, escaped=draw(st.booleans()))) for key, text in texts.items()]
    spoilt = draw(st.sampled_from([None, None, None, *SMS_KEYS]))
    value = None
    if spoilt is not None:
        value = draw(
            VALUES.filter(lambda text: not text.startswith('"')) | st.sampled_from([None, "null"])
        )
        fields = [(k, v if k != spoilt else value) for k, v in fields if k != spoilt or value]
    if draw(st.integers(0, 3)) == 0:
        fields.append(
            (draw(st.sampled_from(["smsCost", "79161234567", "\x00\ud800"])), draw(VALUES))
        )
    text = object_of(draw(st.permutations(fields)))
    is_null = spoilt not in (None, "dateSent") and value in (None, "null")
    if (spoilt is not None and not is_null) or not in_time or "[" * 1_000 in text:
        return Record(text, None)
    rest = ("phoneNumber", "smsStatus", "smsStatusDetail", "smsMessage")
    return Record(text, (DAY, *(None if key == spoilt else kept(texts[key]) for key in rest)))


def calltouch(rig: Rig, data: st.DataObject) -> None:
    records = data.draw(st.lists(sms(), max_size=25))
    site = rig.accounts[0]
    rig.world.calltouch.replace_day(
        int(site.label), DAY, [record.text.encode() for record in records]
    )
    done = rig.refresh(days=[DAY], **TAKING_ALL)
    assert not done.problems
    found = select(
        rig,
        "SELECT sent_on, phone, status, status_detail, message FROM warehouse.calltouch_sms"
        " WHERE site_id = %s AND sent_on = %s",
        int(site.label),
        DAY,
    )
    assert Counter(found) == Counter(record.row for record in records if record.row)
    assert_set_aside(rig, done, site.label, records)


# --- Tellody's purchases ---------------------------------------------------------------------------

MIDDAY = int(datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC).timestamp() * 1000)
DATED = st.sampled_from(
    [
        f'{{"millis": {MIDDAY}, "zone": {{"id": "Europe/Athens"}}}}',
        f'{{"zone": {{"id": "Nowhere/\\u0000"}}, "millis": {MIDDAY}, "year": "\\ud800"}}',
        f"{MIDDAY}",
        f'"{DAY}T15:00:00+03:00"',
    ]
)
UNDATABLE = st.sampled_from(
    [
        *("null", "true", "[]", "{}", '""', '"вчера"', '"\\u0000"', '"\\ud800"', "1e999999"),
        '{"millis": "soon"}',
        '{"millis": 9999999999999999999}',
        '{"millis": 1.5}',
        '{"millis": null, "year": 10000, "dayOfYear": 1, "millisOfDay": 0}',
    ]
)
BEFORE = st.sampled_from(["0", '"0001-01-02T00:00:00Z"', '{"millis": -62135500000000}'])
MONEY = NUMBERS.filter(lambda text: len(text) < 300 or text in ("9" * 400, "9" * 5_000))


@st.composite
def purchase(draw: st.DrawFn, number: int) -> Record:
    """A purchase with its own number; ``serial`` keeps spoilt ones apart."""
    when = draw(st.sampled_from(["dated", "dated", "dated", "undatable", "before"]))
    amount, credits = draw(MONEY | st.just("null")), draw(MONEY | st.just("null"))
    months = draw(st.sampled_from(["null", "0", "12", "-1", "2147483647"]))
    method, kind = draw(st.none() | TEXTS), draw(st.none() | TEXTS)
    history = draw(VALUES.filter(lambda text: "[" * 450 not in text))
    good = {
        "paymentId": str(number),
        "date": draw({"dated": DATED, "undatable": UNDATABLE, "before": BEFORE}[when]),
        "amount": amount,
        "credits": credits,
        "months": months,
        "paymentMethod": "null" if method is None else write(method, escaped=draw(st.booleans())),
        "accountType": "null" if kind is None else write(kind, escaped=True),
        "invoiceHistory": history,
        "serial": str(number),
    }
    spoilt = draw(st.sampled_from([None, None, "paymentId", "amount", "months", "paymentMethod"]))
    if spoilt is not None:
        good[spoilt] = draw(SPOILT[spoilt])
    text = object_of(draw(st.permutations(list(good.items()))))
    if spoilt is not None or when != "dated":
        return Record(text, BEFORE_WINDOW if when == "before" else None)
    row = (
        number,
        None if amount == "null" else Decimal(amount),
        None if credits == "null" else Decimal(credits),
        None if months == "null" else int(months),
        None if method is None else kept(method),
        None if kind is None else kept(kind),
        None if history == "null" else history,
    )
    return Record(text, row)


BEFORE_WINDOW: tuple[Any, ...] = ("before the window: counted, not loaded",)
SPOILT = {
    "paymentId": st.sampled_from(
        ["null", "1.0", "true", '"7"', "[]", "9223372036854775808", "1e2"]
    ),
    "amount": st.sampled_from(['"4.90"', "true", "[]", "{}"]) | ENDLESS_NUMBERS,
    "months": st.sampled_from(["1.5", "2147483648", '"3"', "true", "{}"]),
    "paymentMethod": st.sampled_from(["1", "true", "[]", "{}"]),
}


def purchases(rig: Rig, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    records = [data.draw(purchase(number)) for number in range(1, count + 1)]
    body = f'{{"extras": null, "count": {count}, "data": [{",".join(r.text for r in records)}]}}'
    answer_with(rig, "*/PaymentHistory", body)
    done = rig.refresh(days=[DAY], **TAKING_ALL)
    assert not done.problems
    found = select(
        rig,
        "SELECT payment_id, amount, credits, months, payment_method, account_type,"
        " invoice_history::text FROM warehouse.tellody_credit_purchase ORDER BY payment_id",
    )
    rows = [r.row for r in records if r.row not in (None, BEFORE_WINDOW)]
    assert found == rows
    assert_set_aside(rig, done, rig.accounts[0].label, records)


# --- One row a day ---------------------------------------------------------------------------------

WHOLE = st.sampled_from(["0", "7", "1234567", str(2**60)])
NOT_COUNTABLE = st.sampled_from(
    [
        "-1",
        "-0",
        "1.0",
        "1e2",
        "9223372036854775808",
        '"7"',
        "true",
        "[]",
        "{}",
        "9" * 5_000,
    ]
)
EXTRA_KEYS = st.sampled_from(["PUSH_SENT", "x", "\x00", "\ud800", "79161234567", "ключ"])
EXTRAS = st.dictionaries(EXTRA_KEYS, VALUES.filter(lambda text: "[" * 450 not in text), max_size=3)


@st.composite
def counters(draw: st.DrawFn, names: list[str]) -> tuple[dict[str, str], bool]:
    """Values of these keys, and whether all can be counted with: null or absent is no count, and none."""
    values = {name: draw(WHOLE) for name in names}
    if draw(st.integers(0, 2)):
        return values, True
    spoilt = draw(st.sampled_from(names))
    if draw(st.booleans()):
        values[spoilt] = draw(NOT_COUNTABLE)
        return values, False
    if draw(st.booleans()):
        values[spoilt] = "null"
    else:
        del values[spoilt]
    return values, True


def counted(value: str | None) -> int | None:
    return None if value in (None, "null") else int(value or "")


def activity(rig: Rig, data: st.DataObject) -> None:
    if data.draw(st.integers(0, 5)) == 0:
        body, good = data.draw(VALUES), False
        totals: dict[str, str] = {}
        extras: dict[str, str] = {}
    else:
        totals, good = data.draw(counters(list(TOTALS)))
        extras = data.draw(EXTRAS)
        body = object_of(data.draw(st.permutations([*totals.items(), *extras.items()])))
    before = select(rig, ACTIVITY)
    answer_with(rig, "*/UniqueCode", body)
    done = rig.refresh(days=[DAY], accept_rejects=good)
    if not good:
        assert_refused(done, unreadable=not totals)
        assert select(rig, ACTIVITY) == before
        return
    assert not done.problems
    [(*found, extra)] = select(rig, ACTIVITY)
    assert found == [counted(totals.get(name)) for name in TOTALS]
    assert_kept(extra, extras)


ACTIVITY = (
    f"SELECT {', '.join(TOTALS.values())}, extra::text FROM warehouse.tellody_activity"
    f" WHERE activity_on = '{DAY}'"
)
FIGURES = ("total", "sended", "pending", "fails", "campaign")
ACTIONS = ("RECEIVED", "PRESS_ACTION", "CLOSED", "UNKNOWN")
TRUST = (
    "SELECT total, sent, pending, failed, campaigns, received, pressed, closed, unknown, extra::text"
    f" FROM warehouse.trust_campaign_statistics WHERE stats_on = '{DAY}' AND company_id = %s"
)


def trust(rig: Rig, data: st.DataObject) -> None:
    figures, good = data.draw(counters(list(FIGURES)))
    actions, are_good = data.draw(counters(list(ACTIONS)))
    extras = data.draw(EXTRAS)
    fields = [*figures.items(), *extras.items(), ("actions", object_of(list(actions.items())))]
    inner = object_of(data.draw(st.permutations(fields)))
    body = f'{{"code": 200, "resource": "Statistics", "data": {inner}, "message": "Ok"}}'
    company = rig.accounts[0].label
    before = select(rig, TRUST, company)
    for account in rig.accounts:  # first of all a run asks for a day long ago
        answer_with(rig, "*/statistics", body, account=account.label, nth=2)
    done = rig.refresh(days=[DAY], accept_rejects=good and are_good)
    if not (good and are_good):
        assert_refused(done)
        assert select(rig, TRUST, company) == before
        return
    assert not done.problems
    [(*found, extra)] = select(rig, TRUST, company)
    absent = {name: "0" for name in ACTIONS if name not in actions}  # documented to be 0
    assert found == [counted({**figures, **actions, **absent}.get(n)) for n in (*FIGURES, *ACTIONS)]
    assert_kept(extra, extras)


# --- For all -----------------------------------------------------------------------------------------

EXAMPLES: dict[str, Example] = {
    "calltouch": calltouch,
    "tellody_activity": activity,
    "tellody_purchases": purchases,
    "trust": trust,
}


@pytest.fixture
def ready(rig: Rig) -> Rig:
    """A rig whose vendor has been asked before: its rows stand, its ranges are proved."""
    assert example_of(rig) is not None, f"{rig.feed.source}: no hostile values are drawn for it"
    with rig.trial():
        assert not rig.refresh().problems
    return rig


@A_FEW
@given(data=st.data())
def test_hostile_values_are_loaded_exactly_or_set_aside(ready: Rig, data: st.DataObject) -> None:
    play(ready, data)


@pytest.mark.soak
@MANY
@given(data=st.data())
def test_many_hostile_values(ready: Rig, data: st.DataObject) -> None:
    play(ready, data)


def play(rig: Rig, data: st.DataObject) -> None:
    try:
        example = example_of(rig)
        assert example is not None
        example(rig, data)
    finally:
        rig.world.faults.clear()
        rig.restore_truth()


def example_of(rig: Rig) -> Example | None:
    """Of this file, or of the feed's own entry."""
    return EXAMPLES.get(rig.feed.source) or rig.played.hostile


def answer_with(rig: Rig, path: str, body: str, **more: object) -> None:
    match = {"vendor": rig.played.vendor, "path": path, **more}
    rig.world.faults.add("not_json", times=None, match=match, body=body.encode())


def select(rig: Rig, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with rig.warehouse.connect(what="test") as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def assert_refused(done: Refreshed, *, unreadable: bool = False) -> None:
    """What cannot be read as JSON at all may be readable the next time."""
    kinds = {AnswerNotTrusted, TryLater} if unreadable else {AnswerNotTrusted}
    assert done.problems
    assert all(isinstance(problem, tuple(kinds)) for problem in done.problems)


def assert_kept(extra: str | None, extras: dict[str, str]) -> None:
    """Undocumented keys stand as the vendor wrote them, digit by digit."""
    assert (extra is None) == (not extras)
    if extra is not None:
        assert exactly(extra) == {key: exactly(text) for key, text in extras.items()}


def assert_set_aside(rig: Rig, done: Refreshed, account: str, records: list[Record]) -> None:
    """Each record that became no row stands among the rejects, with a reason and its original."""
    found = select(
        rig,
        "SELECT original, sum(times_in_window)::int, min(length(reason)) FROM ops.rejected_record"
        " WHERE source = %s AND account = %s AND resolved_at IS NULL GROUP BY original",
        rig.feed.source,
        account,
    )
    wanted = Counter(kept(record.text) for record in records if record.row is None)
    assert {original: times for original, times, _ in found} == wanted
    assert all(shortest > 5 for *_, shortest in found)
    receipts = [receipt for receipt in done.receipts if receipt.account == account]
    assert sum(receipt.rows_rejected for receipt in receipts) <= wanted.total()
    for receipt in receipts:
        assert receipt.rows_received == receipt.rows + receipt.rows_rejected
