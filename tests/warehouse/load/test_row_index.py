"""Rows by their identity, as sorted arrays: against sets and lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.warehouse.load.row_index import ExistingRows, Identities, SeenIdentities

WORDS = st.tuples(st.integers(0, 3), st.integers(0, 3))
"""Few values, so that identities and their mixed words coincide."""


def identities(pairs: list[tuple[int, int]]) -> Identities:
    keys = b"".join(high.to_bytes(8, "big") + low.to_bytes(8, "big") for high, low in pairs)
    return Identities.from_keys(keys, np.zeros(len(pairs), np.int32), with_day=False)


@settings(deadline=None)
@given(st.lists(st.lists(WORDS, max_size=8), max_size=8))
def test_an_identity_is_seen_again_exactly_when_it_came_before(
    pages: list[list[tuple[int, int]]],
) -> None:
    seen, known = SeenIdentities(), set[tuple[int, int]]()
    for page in pages:
        expected = []
        for pair in page:
            expected.append(pair in known)
            known.add(pair)
        assert seen.add(identities(page)).tolist() == expected


@settings(deadline=None)
@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=6))
def test_existing_rows_are_found_by_their_identity(
    standing: list[tuple[int, int]], wanted: list[tuple[int, int]]
) -> None:
    count = len(standing)
    rows = ExistingRows(
        identities(standing),
        np.arange(count, dtype=np.int32),
        np.zeros(count, np.uint64),
        np.arange(1, count + 1, dtype=np.int32),
    )
    positions, exact, close = rows.find(identities(wanted))
    for pair, position, is_exact, is_close in zip(
        wanted, positions.tolist(), exact.tolist(), close.tolist(), strict=True
    ):
        mixed = [one for one in standing if one[0] ^ one[1] == pair[0] ^ pair[1]]
        assert is_exact == (mixed == [pair])
        assert is_close == (bool(mixed) and not is_exact)
        assert rows.shares_mixed(*pair) == bool(mixed)
        if is_exact:
            assert standing[int(rows.days[position])] == pair
        found = [int(rows.occurrences[at]) for at in rows.positions_of(*pair)]
        assert found == [n for n, one in enumerate(standing, start=1) if one == pair]


def test_the_same_key_on_another_day_is_another_row_where_the_day_takes_part() -> None:
    days = np.array([1, 2], np.int32)
    keys = bytes(32)
    with_day = Identities.from_keys(keys, days, with_day=True)
    assert with_day.exact(0) != with_day.exact(1)
    without = Identities.from_keys(keys, days, with_day=False)
    assert without.exact(0) == without.exact(1)
