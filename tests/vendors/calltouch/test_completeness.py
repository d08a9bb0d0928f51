"""Pages that are all of a window, and those that cannot be."""

from __future__ import annotations

import pytest

from dagster_project.vendors.calltouch.completeness import CompletenessCheck, InconsistentPages
from dagster_project.vendors.calltouch.sms_page import Sms, SmsPage


def rows(first: int, count: int) -> list[Sms]:
    return [
        Sms(
            phoneNumber=f"7926{number:07d}",
            dateSent=f"01-04-2024 10:00:{number % 60:02d}",
            smsStatus="delivered",
            smsStatusDetail="Доставлено",
            smsMessage="text",
        )
        for number in range(first, first + count)
    ]


def page(number: int | None, first: int, count: int, total: int | None = 25) -> SmsPage:
    return SmsPage(total, number, rows(first, count), True)


def check_of(*pages: SmsPage) -> CompletenessCheck:
    check = CompletenessCheck(rows_a_page=10)
    for number, one in enumerate(pages, start=1):
        check.take(one, number)
    return check


def test_pages_that_add_up_to_the_total_are_all_of_it() -> None:
    check = check_of(page(1, 0, 10), page(2, 10, 10), page(3, 20, 5))
    check.conclude()
    assert (check.pages, check.received) == (3, 25)


def test_an_empty_window_is_one_page() -> None:
    check = check_of(page(None, 0, 0, total=0))
    check.conclude()
    assert check.pages == 1


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([page(1, 0, 10, total=None)], "has no total"),
        ([page(1, 0, 10), page(2, 10, 10, total=26)], "total moved from 25 to 26"),
        ([page(1, 0, 10), page(1, 10, 10)], "page 2 has the number 1"),
        ([page(1, 0, 9)], "has 9 records instead of 10"),
        ([page(1, 0, 10), page(2, 0, 10)], "page 2 has the rows of page 1"),
    ],
)
def test_pages_that_contradict_each_other_are_refused(pages: list[SmsPage], reason: str) -> None:
    with pytest.raises(InconsistentPages, match=reason):
        check_of(*pages)


def test_a_page_that_never_came_is_missed_at_the_end() -> None:
    check = check_of(page(1, 0, 10), page(2, 10, 10))
    with pytest.raises(InconsistentPages, match="20 records came, but the vendor counts 25"):
        check.conclude()
