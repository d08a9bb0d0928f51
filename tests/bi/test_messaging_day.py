"""bi.messaging_day: what each vendor can say of a day; and how far the data reaches."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dagster_project.monitoring.account_status import read_account_statuses
from dagster_project.monitoring.lateness import Expected, due_until
from tests.bi.conftest import DAY, NEXT, ZONES, Loads, Readers, sms

FACT = (
    "SELECT channel, loaded, settled, attempted, accepted, delivered, failed, pending, undetermined,"
    " engaged, opted_out, dismissed FROM bi.messaging_day WHERE vendor = %s AND day = %s"
    " ORDER BY channel"
)
OUTCOMES = [
    sms("+79160000001"),
    sms("+79160000002"),
    sms("+79160000003", outcome="failed", reason="expired"),
    sms("+79160000004", outcome="pending"),
    sms("+79160000005", outcome="undetermined"),
]


def activity(**counts: int) -> dict[str, Any]:
    names = ("sms_sent", "email_sent", "downloads", "optouts", "url_clicks", "vouchers_viewed")
    return dict.fromkeys(names, 0) | counts


def statistics(day: Any, **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("total", "sent", "pending", "failed", "received", "pressed", "closed", "unknown"), 0
    )
    return (
        counts
        | {
            "window_from": day,
            "window_to": day,
            "is_daily": True,
            "asked_at": datetime.now(UTC),
            "campaigns": 1,
        }
        | more
    )


def test_calltouch_counts_outcomes_and_turns_pending_undetermined_when_settled(
    loads: Loads, readers: Readers
) -> None:
    loads.sms(DAY, OUTCOMES)
    assert readers.ask(FACT, values=("calltouch", DAY)) == [
        ("sms", True, False, 5, None, 2, 1, 1, 1, None, None, None)
    ]
    loads.sms(DAY, OUTCOMES, settled=True)
    assert readers.ask(FACT, values=("calltouch", DAY)) == [
        ("sms", True, True, 5, None, 2, 1, 0, 2, None, None, None)
    ]


def test_an_empty_calltouch_day_reports_zero(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, [])
    assert readers.ask(FACT, values=("calltouch", DAY)) == [
        ("sms", True, False, 0, None, 0, 0, 0, 0, None, None, None)
    ]


def test_a_day_that_became_empty_reports_zero(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, OUTCOMES)
    loads.sms(DAY, [])
    assert readers.one(FACT, values=("calltouch", DAY))[3] == 0
    assert readers.one("SELECT count(*) FROM bi.sms_day") == 0


def test_tellody_reports_attempts_by_channel_and_reactions_by_none(
    loads: Loads, readers: Readers
) -> None:
    counts = activity(sms_sent=7, downloads=1, optouts=4, url_clicks=10, vouchers_viewed=100)
    loads.rows("tellody_activity", "main", DAY, [counts])
    nothing = (None,) * 5
    assert readers.ask(FACT, values=("tellody", DAY)) == [
        ("email", True, False, 0, *nothing, None, None, None),
        ("sms", True, False, 7, *nothing, None, None, None),
        ("unattributed", True, False, None, *nothing, 111, 4, None),
    ]


def test_trust_reports_daily_rows_and_says_nothing_of_rolling_ones(
    loads: Loads, readers: Readers
) -> None:
    figures = {"total": 100, "sent": 90, "pending": 3, "failed": 7, "received": 80}
    figures |= {"pressed": 20, "closed": 5, "unknown": 2}
    week = {"window_from": NEXT - timedelta(days=6), "is_daily": False}
    loads.rows("trust", "1", DAY, [statistics(DAY, **figures)])
    loads.rows("trust", "1", NEXT, [statistics(NEXT, **figures, **week)])
    assert readers.ask(FACT, values=("trust", DAY)) == [
        ("push", True, False, 100, 90, 80, 7, 3, 2, 20, None, 5)
    ]
    assert readers.ask(FACT, values=("trust", NEXT)) == [("push", True, False, *(None,) * 9)]
    assert readers.ask("SELECT stats_on, received FROM bi.trust_day") == [(DAY, 80)]
    window = "SELECT asked_on, window_from, window_to, received FROM bi.trust_window"
    assert readers.ask(window) == [(NEXT, NEXT - timedelta(days=6), NEXT, 80)]


def test_a_rate_above_one_is_flagged_and_not_capped(loads: Loads, readers: Readers) -> None:
    loads.rows("trust", "1", DAY, [statistics(DAY, total=6, failed=6, received=8)])
    rate = (
        "SELECT delivered::numeric / attempted_where_delivery_is_reported,"
        " delivered_exceeds_attempted FROM bi.messaging_day WHERE day = %s"
    )
    [(delivery, flag)] = readers.ask(rate, values=(DAY,))
    assert (round(delivery, 3), flag) == (Decimal("1.333"), True)


def test_a_delivery_rate_over_vendors_leaves_out_who_reports_none(
    loads: Loads, readers: Readers
) -> None:
    loads.sms(DAY, OUTCOMES)
    loads.rows("tellody_activity", "main", DAY, [activity(sms_sent=1000)])
    rate = (
        "SELECT sum(delivered) / sum(attempted_where_delivery_is_reported) FROM bi.messaging_day"
        " WHERE day = %s"
    )
    assert readers.one(rate, values=(DAY,)) == Decimal("0.4")


def test_a_gap_is_a_row_of_nulls_that_says_so(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, OUTCOMES)
    loads.sms(DAY + timedelta(days=3), OUTCOMES)
    nulls = ("sms", False, False, *(None,) * 9)
    for missing in (1, 2):
        day = DAY + timedelta(days=missing)
        assert readers.ask(FACT, values=("calltouch", day)) == [nulls]
    assert readers.ask(FACT, values=("calltouch", DAY - timedelta(days=1))) == []
    before_yesterday = "SELECT count(*) FROM bi.messaging_day WHERE day >= current_date + 1"
    assert readers.one(before_yesterday) == 0
    assert readers.one("SELECT max(day) >= current_date - 2 FROM bi.messaging_day")


def test_data_status_and_data_until_tell_gaps_and_unsettled_days(
    loads: Loads, readers: Readers
) -> None:
    due = due_until(ZONES["calltouch"], datetime.now(UTC))
    first, last = due - timedelta(days=5), due - timedelta(days=1)
    loads.sms(first, OUTCOMES, settled=True)
    loads.sms(last, OUTCOMES)
    states = readers.ask(
        "SELECT day, state FROM bi.data_status WHERE day <= %s ORDER BY day", values=(last,)
    )
    assert [state for _, state in states] == [
        "settled",
        "missing",
        "missing",
        "missing",
        "unsettled",
    ]
    until = (
        "SELECT source, first_day, data_until, settled_until, complete_until, unsettled_days,"
        " gap_days >= 4, days_behind >= 0 FROM bi.data_until"
    )
    assert readers.ask(until) == [("calltouch", first, last, first, first, 1, True, True)]


def test_missing_days_are_the_expected_ones_without_a_state_and_not_looked_for_where_all_are_loaded(
    loads: Loads, readers: Readers
) -> None:
    due = due_until(ZONES["calltouch"], datetime.now(UTC))
    whole = [due - timedelta(days=n) for n in (3, 2, 1, 0)]
    gaps = "SELECT * FROM bi.data_status WHERE is_gap"
    for day in (*whole, due + timedelta(days=1)):
        loads.sms(day, OUTCOMES, site=101)
    plan = str(readers.ask(f"EXPLAIN (ANALYZE, TIMING OFF) {gaps}"))
    assert "day_state" in plan
    assert re.search(r"on date_day [^)]*\) \(never executed\)", plan), "no day of it is looked at"
    for site, days in ((102, whole[:2]), (103, [whole[0], due]), (104, [due])):
        for day in days:
            loads.sms(day, OUTCOMES, site=site)
    loads.rows("tellody_purchases", "main", whole[0], [])
    with loads.warehouse.connect_admin() as connection:
        connection.execute("SET ROLE warehouse_owner")
        expected = connection.execute(
            "SELECT source, account, day FROM mart.expected_day e WHERE NOT EXISTS (SELECT FROM"
            " ops.day_state s WHERE (s.source, s.account, s.day) = (e.source, e.account, e.day))"
            " ORDER BY 1, 2, 3"
        ).fetchall()
    missing = readers.ask(
        "SELECT source, account, day FROM bi.data_status WHERE is_gap ORDER BY 1, 2, 3"
    )
    assert missing == expected
    of_sites = [(int(account), day) for source, account, day in missing if source == "calltouch"]
    assert of_sites == [(102, whole[2]), (102, due), (103, whole[1]), (103, whole[2])]


def test_purchases_add_up_and_price_a_credit_without_inventing_a_currency(
    loads: Loads, readers: Readers
) -> None:
    def purchase(number: int, amount: str, credits_: str) -> dict[str, Any]:
        return {
            "payment_id": number,
            "purchased_at": datetime(2024, 4, 1, 9, number, tzinfo=UTC),
            "time_zone": "Europe/Athens",
            "amount": Decimal(amount),
            "credits": Decimal(credits_),
            "card_last_digits": "0042",
        }

    bought = "SELECT payment_id, amount_so_far, credits_so_far, price_per_credit, currency FROM bi.credit_purchase ORDER BY 1"
    loads.rows(
        "tellody_purchases", "main", DAY, [purchase(11, "4.90", "100"), purchase(12, "4.9", "0")]
    )
    assert readers.ask(bought) == [
        (11, Decimal("4.90"), 100, Decimal("0.049000"), None),
        (12, Decimal("9.80"), 100, None, None),
    ]
    assert readers.one("SELECT count(*) FROM bi.messaging_day") == 0
    loads.rows("tellody_purchases", "main", NEXT + timedelta(days=5), [], currency="EUR")
    assert readers.one("SELECT DISTINCT currency FROM bi.credit_purchase") == "EUR"
    gaps = "SELECT min(day) FROM bi.data_status WHERE is_gap"
    assert readers.one(gaps) == NEXT + timedelta(days=6), "an answer tells all days up to its own"


def test_days_that_an_answer_of_all_purchases_has_told_are_no_gaps(
    loads: Loads, readers: Readers
) -> None:
    """As ``warehouse status`` has it: what decides is the last answer, not the days it was loaded for."""
    today = due_until(ZONES["tellody"], datetime.now(UTC)) + timedelta(days=1)
    loads.rows("tellody_purchases", "main", DAY, [])
    gaps = "SELECT count(*) FROM bi.data_status WHERE is_gap"
    since = (today - DAY).days - 1
    assert readers.one(gaps) == since
    asked_on = today - timedelta(days=3)
    with loads.warehouse.connect_admin() as connection:
        connection.execute(
            "WITH e AS (INSERT INTO ops.extraction"
            " (source, account, first_day, last_day, outcome, code_version)"
            " VALUES ('tellody_purchases', 'main', '2024-01-01', %s, 'complete', 't')"
            " RETURNING extraction_id)"
            " UPDATE ops.day_state SET extraction_id = e.extraction_id FROM e",
            (asked_on,),
        )
    with loads.warehouse.connect(autocommit=True) as connection:
        expected = Expected(
            "tellody_purchases", "main", today - timedelta(days=1), whole_history=True
        )
        standing = read_account_statuses(connection, [expected])[expected.key]
    missing = readers.ask("SELECT day FROM bi.data_status WHERE is_gap ORDER BY day")
    assert [day for (day,) in missing] == list(standing.gaps)
    assert standing.gaps == (asked_on, asked_on + timedelta(days=1), asked_on + timedelta(days=2))
    told = "SELECT data_until, complete_until, gap_days, days_behind FROM bi.data_until"
    last = asked_on - timedelta(days=1)
    assert readers.ask(told) == [(last, last, 3, 3)]
