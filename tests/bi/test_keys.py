"""Keys that join, and words that mean the same in every view of ``bi``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.bi.conftest import DAY, NEXT, Loads, Readers, sms
from tests.bi.test_messaging_day import activity, statistics

FACTS = (
    "credit_purchase", "data_status", "messaging_day", "sms_bad_numbers", "sms_day", "sms_hour",
    "sms_maturity", "sms_reach", "tellody_activity_day", "trust_day", "trust_window",
)  # fmt: skip
People = Callable[[int], list[str]]


@pytest.fixture
def filled(loads: Loads, people: People) -> None:
    """Two sites with one text, a settled day and one that is not; days of the other vendors."""
    ends = ["pending", "pending", "undetermined", "failed"]
    rows = [sms(phone, "Скидка 5%") for phone in people(20)]
    rows += [sms(phone, "Скидка 5%", end) for phone, end in zip(people(4), ends, strict=True)]
    failed = [sms("+79160000009", "Скидка 5%", "failed", "expired", f"13:00:0{n}") for n in (1, 2)]
    for site in (101, 202):
        asked = datetime(2024, 4, 9, tzinfo=UTC)
        loads.sms(DAY, rows + failed, site, asked=asked - timedelta(days=6))
        loads.sms(DAY, rows + failed, site, asked=asked, settled=True)
        loads.sms(NEXT, rows, site)
    loads.rows("tellody_activity", "main", DAY, [activity(sms_sent=7)])
    loads.rows("trust", "1", DAY, [statistics(DAY, total=5, pending=2, unknown=1)])
    week = {"window_from": NEXT - timedelta(days=6), "is_daily": False}
    loads.rows("trust", "1", NEXT, [statistics(NEXT, **week)])
    bought = {
        "payment_id": 1,
        "purchased_at": datetime(2024, 4, 1, 9, tzinfo=UTC),
        "time_zone": "Europe/Athens",
        "amount": Decimal("4.9"),
        "credits": Decimal(30),
    }
    loads.rows("tellody_purchases", "main", DAY, [bought])
    loads.count_months()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("view", FACTS)
def test_a_fact_joins_to_account_and_calendar_without_a_row_more_or_less(
    readers: Readers, view: str
) -> None:
    plain = readers.one(f"SELECT count(*) FROM bi.{view}")
    joined = readers.one(
        f"SELECT count(*) FROM bi.{view} JOIN bi.account USING (account_key)"
        " JOIN bi.date_day USING (day)"
    )
    assert plain == joined > 0


@pytest.mark.usefixtures("filled")
def test_a_template_joins_by_its_key_and_multiplies_by_its_id_alone(readers: Readers) -> None:
    total = readers.one("SELECT sum(messages) FROM bi.sms_day")
    of = "SELECT sum(d.messages) FROM bi.sms_day d JOIN bi.template t"
    assert readers.one(f"{of} USING (template_key)") == total
    assert readers.one(f"{of} USING (site_id, template_id)") == total
    assert readers.one(f"{of} USING (template_id)") == 2 * total


@pytest.mark.usefixtures("filled")
def test_pending_and_undetermined_mean_the_same_in_every_view(readers: Readers) -> None:
    """What is pending when its day settles is undetermined from then on, wherever it is counted."""
    counted = "SELECT day, sum(messages) FILTER (WHERE outcome = 'pending'), sum(messages) FILTER (WHERE outcome = 'undetermined') FROM {} GROUP BY 1 ORDER BY 1"
    one_by_one = "SELECT day, count(*) FILTER (WHERE outcome = 'pending'), count(*) FILTER (WHERE outcome = 'undetermined') FROM {} GROUP BY 1 ORDER BY 1"
    last = "(SELECT m.* FROM bi.sms_maturity m WHERE observed_on = (SELECT max(observed_on) FROM bi.sms_maturity o WHERE (o.day, o.site_id) = (m.day, m.site_id))) x"
    expected = [(DAY, 0, 6), (NEXT, 4, 2)]
    fact = (
        "SELECT day, sum(pending), sum(undetermined) FROM bi.messaging_day"
        " WHERE vendor = 'calltouch' AND loaded GROUP BY 1 ORDER BY 1"
    )
    assert readers.ask(fact) == expected
    for source in ("bi.sms_day", "bi.sms_hour", last):
        told = [tuple(x or 0 for x in row) for row in readers.ask(counted.format(source))]
        assert told == expected, source
    for source in ("bi_detail.sms_detail", "bi_pii.sms"):
        assert readers.ask(one_by_one.format(source), "warehouse_bi_pii") == expected, source
    then = "SELECT sum(messages) FROM bi.sms_maturity WHERE day = %s AND outcome = 'pending'"
    assert readers.one(then, values=(DAY,)) == 4, "as it was on the first day of asking"


@pytest.mark.usefixtures("filled")
def test_the_grain_of_a_view_holds_where_pending_became_undetermined(readers: Readers) -> None:
    for view, key in (
        ("bi.sms_day", "day, template_key, country, outcome, reason"),
        ("bi.sms_hour", "day, account_key, hour, category, outcome"),
        ("bi.sms_maturity", "day, account_key, observed_on, outcome"),
    ):
        twice = f"SELECT count(*) FROM (SELECT 1 FROM {view} GROUP BY {key} HAVING count(*) > 1) t"
        assert readers.one(twice) == 0, view
    why = "SELECT reason, sum(messages) FROM bi.sms_day WHERE settled AND outcome = 'undetermined' GROUP BY 1 ORDER BY 1"
    assert readers.ask(why) == [("none", 2), ("pending_when_settled", 4)]


@pytest.mark.usefixtures("filled")
def test_settled_is_told_beside_the_counts(readers: Readers) -> None:
    for view in ("sms_day", "sms_hour"):
        told = f"SELECT DISTINCT day, settled FROM bi.{view} ORDER BY 1"
        assert readers.ask(told) == [(DAY, True), (NEXT, False)], view


@pytest.mark.usefixtures("filled")
def test_money_has_its_decimals_in_its_type(readers: Readers) -> None:
    types = (
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
        " WHERE a.attrelid = 'bi.credit_purchase'::regclass AND a.atttypid = 'numeric'::regtype"
    )
    assert dict(readers.ask(types)) == {
        "amount": "numeric(18,4)",
        "credits": "numeric(18,4)",
        "price_per_credit": "numeric(18,6)",
        "amount_so_far": "numeric(18,4)",
        "credits_so_far": "numeric(18,4)",
    }
    assert readers.ask("SELECT amount, price_per_credit FROM bi.credit_purchase") == [
        (Decimal("4.9"), Decimal("0.163333"))
    ]


@pytest.mark.usefixtures("filled")
def test_a_like_on_a_template_of_single_sms_needs_no_loop(readers: Readers) -> None:
    of_template = "template_label LIKE 'Скидка%%'"
    counted = f"SELECT count(*) FROM bi_detail.sms_detail WHERE {of_template}"
    assert readers.one(counted.replace("%%", "%"), "warehouse_bi_detail") == 2 * (26 + 24)
    joined = (
        "SELECT d.recipient, count(*) FROM bi_detail.sms_detail d"
        " JOIN bi.template t USING (site_id, template_id)"
        " WHERE t.template_text LIKE 'Скидка%' GROUP BY 1"
    )
    for query in (counted.replace("%%", "%"), joined):
        rows = readers.ask(f"EXPLAIN (ANALYZE) {query}", "warehouse_bi_detail")
        looped = [line for (line,) in rows if "Nested Loop" in line]
        assert looped == [], query


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.both_servers
@pytest.mark.usefixtures("filled")
def test_a_like_on_a_template_is_tried_on_templates_and_not_on_each_sms(readers: Readers) -> None:
    query = "SELECT outcome, count(*) FROM bi_detail.sms_detail WHERE template_label LIKE '%кидк%' GROUP BY 1"
    found = readers.one(f"EXPLAIN (FORMAT JSON) {query}", "warehouse_bi_detail")
    [tried] = [node for node in nodes(found[0]["Plan"]) if "~~" in node.get("Filter", "")]
    assert (tried["Relation Name"], tried["Alias"]) == ("template", "t")
    [joined] = [node for node in nodes(found[0]["Plan"]) if "t.template_id" in joined_by(node)]
    assert "t.site_id" in joined_by(joined), "all SMS of a site are joined with it first"


def joined_by(node: dict[str, Any]) -> str:
    return str(node.get("Hash Cond", node.get("Merge Cond", "")))


@pytest.mark.both_servers
@pytest.mark.usefixtures("filled")
def test_what_a_query_of_single_sms_does_not_name_is_not_joined(readers: Readers) -> None:
    def tables(query: str) -> set[str]:
        found = readers.one(f"EXPLAIN (FORMAT JSON) {query}", "warehouse_bi_detail")
        read = {node.get("Relation Name") for node in nodes(found[0]["Plan"])}
        return {name for name in read if name and not name.startswith("calltouch_sms_")}

    assert tables("SELECT count(*) FROM bi_detail.sms_detail") == set()
    assert tables("SELECT site_id, sum(segments) FROM bi_detail.sms_detail GROUP BY 1") == set()
    assert tables("SELECT outcome, count(*) FROM bi_detail.sms_detail GROUP BY 1") == {"day_state"}
    assert tables("SELECT template_label FROM bi_detail.sms_detail") == {"template"}


@pytest.mark.both_servers
@pytest.mark.usefixtures("filled")
def test_single_sms_add_up_to_the_templates_of_a_day(loads: Loads, readers: Readers) -> None:
    """Public, rare and missing texts, labels of the user's, and what was pending when its day settled."""
    last = NEXT + timedelta(days=1)
    odd = [
        sms("+79160000001", "Ваш мастер ждет"),
        sms(None, None),
        sms("+79160000002", None, "pending"),
    ]
    loads.sms(last, odd, asked=datetime(2024, 4, 9, tzinfo=UTC), settled=True)
    with loads.warehouse.connect_admin() as connection:
        connection.execute(
            "SELECT mart.label_templates(array_agg(t.template_id), array_agg('label ' || t.label),"
            " array_agg('shop'::text), array_agg('spring'::text)) FROM (SELECT DISTINCT ON (template_id)"
            " template_id, label FROM mart.template ORDER BY template_id) t"
        )
    told = (
        "SELECT day, account_key, template_id, template_label, category, campaign, country, outcome, reason,"
        " settled, {} FROM {} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY 1, 2, 3, 7, 8, 9"
    )
    by_day = readers.ask(told.format("sum(messages), sum(segments)", "bi.sms_day"))
    single = told.format("count(*), sum(segments)", "bi_detail.sms_detail")
    assert readers.ask(single, "warehouse_bi_detail") == by_day
    shown = {(row[3], row[8], row[9]) for row in by_day if row[0] == last}
    assert shown == {
        ("label (rare)", "none", True),
        ("label (no text)", "none", True),
        ("label (no text)", "pending_when_settled", True),
    }
