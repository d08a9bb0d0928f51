"""Names that a vendor made up, as they may be told."""

from __future__ import annotations

from collections import Counter

from dagster_project.vendors.calltouch.names import AT_MOST, count_name, mask_digits


def test_digits_of_a_name_are_masked() -> None:
    assert mask_digits("call +7 926 1234567") == "call +# ### #######"


def test_names_are_counted_one_by_one_until_there_are_too_many() -> None:
    counts: Counter[str] = Counter()
    for letter in map(chr, range(ord("a"), ord("a") + AT_MOST + 3)):
        count_name(counts, "unknown_key", letter)
    count_name(counts, "unknown_key", "a", times=4)
    count_name(counts, "unknown_status", "z")
    assert counts["unknown_key:a"] == 5
    assert counts["unknown_key_more"] == 3
    assert counts["unknown_status:z"] == 1
    assert sum(name.startswith("unknown_key:") for name in counts) == AT_MOST
