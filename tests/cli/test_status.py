"""``warehouse status``: its exit status says whether something is red."""

from __future__ import annotations

import json

import pytest

from tests.support.erasing import command
from tests.support.operating import House, days_back


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_it_answers_0_where_all_that_is_due_is_loaded_and_1_where_a_day_is_red(
    house: House, options: tuple[str, ...]
) -> None:
    days = days_back(3)
    assert house.refresh(days[:1]), house.failure()
    assert house.refresh(days[2:]), house.failure()
    bad = command("status", *options)
    assert bad.return_value == 1
    assert str(days[1]) in bad.stdout
    assert house.refresh(days[1:2]), house.failure()
    good = command("status", *options)
    assert good.return_value == 0
    if options:
        assert [entry["troubles"] for entry in json.loads(good.stdout)["accounts"]] == [[]]
    else:
        assert "Nothing is red" in good.stdout
