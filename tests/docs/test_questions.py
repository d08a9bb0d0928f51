"""Queries of the pages and formulas of the comments: each runs, for each vendor alone too, and answers what its page says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bi.conftest import DAY, NEXT, Loads, Readers, loads, people, readers, sms  # noqa: F401
from tests.bi.test_messaging_day import activity, statistics
from tests.docs.pages import DOCS, pages
from tools import questions

QUERY = re.compile(r"```sql\n((?:SELECT|WITH)\b.*?)\n```", re.DOTALL)
FORMULA = re.compile(r"([A-Za-z][\w ]*?) = ((?:sum|avg)\(.*?)(?:;|\.(?=\s|$))")
READ_BY_OTHERS = {"own-postgres.md", "add-a-vendor.md"}
"""Pages of administrators and developers, whose SQL is not of readers."""


def load_calltouch(loads: Loads) -> None:  # noqa: F811
    ends = ["delivered", "failed", "pending", "undetermined"]
    rows = [sms(f"+7916{n:07d}", outcome=ends[n % 4]) for n in range(40)]
    loads.sms(DAY, [*rows, sms(None, None)], settled=True)
    loads.sms(NEXT, [])


def load_tellody(loads: Loads) -> None:  # noqa: F811
    loads.rows("tellody_activity", "main", DAY, [activity(sms_sent=7, optouts=1)], settled=True)
    loads.rows("tellody_activity", "main", NEXT, [activity()], settled=True)
    bought = {"payment_id": 1, "purchased_at": f"{DAY} 12:00+00", "time_zone": "Europe/Athens"}
    none = {"payment_id": 2, "purchased_at": f"{DAY} 13:00+00", "time_zone": "Europe/Athens"}
    rows = [{**bought, "amount": 5, "credits": 100}, {**none, "amount": 0, "credits": 0}]
    loads.rows("tellody_purchases", "main", DAY, rows)


def load_trust(loads: Loads) -> None:  # noqa: F811
    """A day of messages, and one without any."""
    day = statistics(DAY, total=9, sent=7, failed=2, received=6, pressed=1)
    loads.rows("trust", "1", DAY, [day], settled=True)
    loads.rows("trust", "1", NEXT, [statistics(NEXT)], settled=True)


LOADS: dict[str, tuple[Callable[[Loads], None], ...]] = {
    "calltouch": (load_calltouch,),
    "tellody": (load_tellody,),
    "trust": (load_trust,),
    "all": (load_calltouch, load_tellody, load_trust),
    "none": (),
}


@pytest.fixture(params=LOADS)
def loaded(loads: Loads, request: pytest.FixtureRequest) -> str:  # noqa: F811
    for load in LOADS[request.param]:
        load(loads)
    loads.count_months()
    return str(request.param)


def queries() -> Iterator[tuple[str, str]]:
    for page in pages():
        if page.name not in READ_BY_OTHERS:
            for number, query in enumerate(QUERY.findall(page.read_text()), 1):
                yield f"{page.name} {number}", query


def formulas(readers: Readers) -> list[tuple[str, str]]:  # noqa: F811
    """What a comment of a view says to reckon, as a query over it."""
    rows = readers.ask(
        "SELECT 'bi.' || c.relname, d.description FROM pg_description d"
        " JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass"
        " WHERE c.relnamespace = 'bi'::regnamespace"
    )
    found = []
    for view, text in rows:
        for name, formula in FORMULA.findall(text):
            expression, _, condition = formula.partition(" WHERE ")
            found.append((f"{view}: {name}", f"SELECT day, {expression} FROM {view} WHERE {condition or 'true'} GROUP BY day"))  # fmt: skip
    return found


@pytest.mark.usefixtures("loaded")
def test_every_query_and_formula_can_be_asked_of_each_vendor_alone(readers: Readers) -> None:  # noqa: F811
    asked = [*queries(), *formulas(readers)]
    names = {name for name, _ in asked}
    assert len([name for name in names if name.startswith("questions.md")]) >= 15
    assert {"bi.messaging_day: delivery rate", "bi.messaging_day: final rate"} <= names
    assert any(name.startswith("bi.data_arrival:") for name in names)
    broken = {}
    for name, query in asked:
        try:
            readers.ask(query)
        except Exception as error:  # noqa: BLE001 - each is told
            broken[name] = str(error).splitlines()[0]
    assert broken == {}


def test_formulas_of_the_comments_hold(loads: Loads, readers: Readers) -> None:  # noqa: F811
    for load in LOADS["all"]:
        load(loads)
    rates: dict[str, dict[Any, Any]] = {
        name: dict(readers.ask(query)) for name, query in formulas(readers)
    }
    assert rates["bi.messaging_day: delivery rate"][DAY] == Decimal(17) / Decimal(50)
    assert round(rates["bi.messaging_day: final rate"][DAY], 6) == Decimal("0.586207")
    assert rates["bi.messaging_day: delivery rate"][NEXT] is None
    for view, identity, where in (
        ("messaging_day", "attempted = delivered + failed + pending + undetermined", "vendor = 'calltouch' AND loaded"),
        ("credit_purchase", "price_per_credit = round(amount / credits, 6)", "credits > 0"),
        ("sms_cost", "cost = price * segments", "per = 'segment'"),
    ):  # fmt: skip
        held = f"SELECT coalesce(bool_and({identity}), true) FROM bi.{view} WHERE {where}"
        assert readers.one(held) is True, identity


def test_no_query_of_a_page_adds_up_what_does_not_add_up() -> None:
    """Trust's total over days, people over sites or categories."""
    for name, query in queries():
        text = " ".join(query.split())
        if "bi.trust_day" in text or "bi.trust_window" in text:
            assert "sum(total)" not in text, name
            assert "sum(campaigns)" not in text, name
        if "sum(attempted)" in text and "GROUP BY day" not in text:
            assert "vendor <> 'trust'" in text or "vendor = 'tellody'" in text, name
        if "sum(recipients)" in text and "bi.sms_frequency" in text:
            assert "period = 'month'" in text or "period = 'week'" in text, name
            assert "dimension = '" in text, name
            assert "site_id IS NULL" in text or "GROUP BY site" in text, name


def test_each_question_has_its_query_and_its_answer() -> None:
    page = Path(DOCS / "questions.md").read_text(encoding="utf-8")
    asked = re.findall(r"^### (\d+)\. .*\?$", page, re.MULTILINE)
    assert asked == [str(number) for number in range(1, 16)]
    for part in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        found = list(questions.QUERY.finditer(part))
        assert found, part[:60]
        assert all(match["answer"].count("\n") >= 3 for match in found), part[:60]
