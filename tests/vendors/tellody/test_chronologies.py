"""The fields of a Joda-Time blob that are derived from its instant."""

from __future__ import annotations

from datetime import UTC, datetime

from dagster_project.vendors.tellody.chronologies import (
    NOT_ISO,
    check_fields,
    derive_fields,
    is_marked_not_iso,
    wrong_fields,
)

WALL = datetime(2024, 12, 30, 23, 59, 58, 123000, tzinfo=UTC)
RIGHT = derive_fields(WALL)


def test_fields_are_those_of_the_iso_calendar() -> None:
    assert (RIGHT["year"], RIGHT["weekyear"], RIGHT["weekOfWeekyear"]) == (2024, 2025, 1)
    assert (RIGHT["dayOfYear"], RIGHT["dayOfWeek"]) == (365, 1)
    assert RIGHT["millisOfDay"] == 86_398_123
    assert (RIGHT["centuryOfEra"], RIGHT["yearOfCentury"]) == (20, 24)


def test_a_field_that_is_given_and_differs_is_wrong_and_an_absent_one_is_not() -> None:
    assert wrong_fields({"year": 2024, "monthOfYear": 11}, RIGHT) == ("monthOfYear",)
    assert wrong_fields({}, RIGHT) == ()
    assert check_fields({"hourOfDay": 3}, RIGHT) == (("hourOfDay",), ())


def test_another_chronology_may_name_other_dates_but_no_other_time() -> None:
    blob = {"chronology": {"minimumDaysInFirstWeek": 4}, "year": 1741, "hourOfDay": 3}
    assert is_marked_not_iso(blob["chronology"])
    assert check_fields(blob, RIGHT) == (("hourOfDay",), ())
    assert not is_marked_not_iso({"zone": "UTC"})
    assert not is_marked_not_iso(None)


def test_years_of_the_buddhist_calendar_are_noted_not_refused() -> None:
    blob = {"year": 2567, "yearOfEra": 2567, "centuryOfEra": 26, "yearOfCentury": 67}
    assert check_fields(blob, RIGHT) == ((), (NOT_ISO,))
    contradicting = blob | {"monthOfYear": 1}
    assert check_fields(contradicting, RIGHT)[0]
