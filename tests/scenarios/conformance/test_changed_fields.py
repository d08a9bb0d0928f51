"""A vendor changes the form of a field: the old rows stand, or the new ones are exact; then it heals.

The seed stands in each test's name; ``CONFORMANCE_SEED=<seed>`` plays that one draw again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from random import Random, SystemRandom
from typing import Any, Final

import pytest

from dagster_project.errors import HeldBack, NoLongerReadable
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import QueryScope
from tests.scenarios.conformance.rig import Refreshed, Rig, Rows, assert_clear
from tests.scenarios.conformance.test_two_faults import DRAW, GIVEN, MANY

A_FEW: Final = 2
SEEDS = [int(GIVEN)] if GIVEN else [DRAW.randrange(10**6) for _ in range(A_FEW)]
MORE_FIELDS: Final = {"calltouch": ["dateSent"], "tellody_purchases": ["date", "paymentId"]}
FORMED: Final = ("dateSent", "date", "paymentId", "amount", "credits")
"""Dates and numbers: of these a new form is another value than the text says."""
LOADED_AS_NULL: Final = ("renamed", "absent", "nulled")
ANSWERS: Final = {"trust": "*/statistics", "tellody_purchases": "*/PaymentHistory"}


@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
def test_a_field_changes_its_form(rig: Rig, seed: int) -> None:
    play_change(rig, Random(f"{rig.feed.source} {seed}"))


@pytest.mark.soak
def test_many_fields_change_their_form(rig: Rig) -> None:
    seed = int(GIVEN) if GIVEN else SystemRandom().randrange(10**6)
    print(f"CONFORMANCE_SEED={seed}")
    draw = Random(f"{rig.feed.source} {seed}")
    for _ in range(MANY // 2):
        play_change(rig, draw)


def play_change(rig: Rig, draw: Random) -> None:
    source = rig.feed.source
    name = draw.choice(
        [*(field for field, _ in rig.feed.table.fields), *MORE_FIELDS.get(source, [])]
    )
    hows = ["renamed", "absent", "nulled", "retyped", "recoded"]
    if name in FORMED or rig.feed.query_scope is QueryScope.DAY:
        hows.append("reformed")
    changes(rig, name, draw.choice(hows), draw.choice((1, 1, 3)))


def changes(rig: Rig, name: str, how: str, every: int) -> None:
    print(f"{rig.feed.source}: {name} is {how} in each {every}")
    is_null = how in LOADED_AS_NULL and name in dict(rig.feed.table.fields)
    of_json = how == "retyped" and is_json(rig, name)
    match: dict[str, Any] = {"vendor": rig.played.vendor, "path": ANSWERS.get(rig.feed.source)}
    with rig.trial() as old:
        rig.world.faults.add("field", times=None, match=match, name=name, how=how, every=every)
        done = rig.refresh()
        for account in rig.accounts:
            before, now, true = old[account.label], rig.standing(account), rig.truth(account)
            if of_json:
                now = unwrapped(now)
            for day in {*before, *now, *true}:
                judge_day(rig, done, account.label, day, (before, now, true), is_null)
    if of_json:
        # Values where there were none; that they are gone again is taken once it is asked for.
        held = rig.refresh()
        assert held.problems
        assert all(isinstance(problem, NoLongerReadable) for problem in held.problems)
        assert not rig.refresh(accept_shrink=True, accept_rejects=True).problems
    rig.heals()


def is_json(rig: Rig, field: str) -> bool:
    """Whether the field is stored as the JSON that the vendor told, of any type."""
    column = dict(rig.feed.table.fields).get(field)
    return any(each.name == column and each.type == "json" for each in rig.feed.table.columns)


def unwrapped(days: Mapping[date, Rows]) -> dict[date, Rows]:
    """Rows whose retyped JSON reads as before: what was no text and no number is a list of one."""
    return {
        day: Counter(
            tuple(None if value == "[null]" else value for value in row) for row in rows.elements()
        )
        for day, rows in days.items()
    }


def judge_day(
    rig: Rig,
    done: Refreshed,
    account: str,
    day: date,
    of_days: tuple[Mapping[date, Rows], Mapping[date, Rows], Mapping[date, Rows]],
    is_null: bool,
) -> None:
    """No row that stood is gone, unless the vendor says so in a form that was read."""
    was, rows, should = (days.get(day, Counter()) for days in of_days)
    told = [p for p in done.problems if p.account == account]
    for problem in told:
        assert_clear(problem, rig)
        assert not isinstance(problem, HeldBack) or "--accept-" in str(problem)
    if rows in (was, should):
        return
    if is_null:
        assert rows.total() == should.total(), f"{account} {day}: records are missing"
        return
    assert not rows - should - was, f"{account} {day}: rows that nobody told"
    assert rows.total() >= min(was.total(), should.total()), f"{account} {day}: rows are gone"


@pytest.mark.parametrize("rig", ["tellody_purchases"], indirect=True)
@pytest.mark.parametrize("every", [1, 3])
def test_json_of_another_type_is_stored_as_told(rig: Rig, every: int) -> None:
    changes(rig, "invoiceHistory", "retyped", every)


def test_every_feed_says_which_fields_it_watches() -> None:
    assert all(feed.table.fields and feed.table.compared for feed in FEEDS)
