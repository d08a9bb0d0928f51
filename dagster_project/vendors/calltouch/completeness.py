"""Prove that the pages of a window are complete.

A window is complete if every page has the same total and the number that was requested, has as many records
as follow from the total (10,000, the last page the rest), and no page came twice. Rows have no id, and move
between pages while new ones arrive: only these numbers can prove completeness.

A page that came twice is recognized by its phones and seconds, in any order and with any statuses: two sums of
hashes, about 2 ms a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dagster_project.vendors.calltouch.sms_page import SmsPage
from dagster_project.vendors.calltouch.table import ROWS_PER_PAGE


class InconsistentPages(Exception):
    """The pages contradict each other, or the request; the window must be read again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class CompletenessCheck:
    """Checks the pages of one reading of a window: page 1 first, the others in any order."""

    rows_a_page: int = ROWS_PER_PAGE
    total: int = -1
    seen: dict[tuple[int, int], int] = field(default_factory=dict)
    received: int = 0
    taken: int = 0

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.rows_a_page), 1)

    def take(self, page: SmsPage, number: int) -> None:
        """Check one page against the others.

        Raises:
            InconsistentPages: it cannot be a page of the same window at the same time.
        """
        if page.total is None or page.total < 0:
            raise InconsistentPages(f"page {number} has no total")
        if self.total < 0:
            self.total = page.total
        if page.total != self.total:
            raise InconsistentPages(
                f"the total moved from {self.total} to {page.total} on page {number}"
            )
        if page.number != number and not (number == 1 and page.number in (None, 0)):
            raise InconsistentPages(f"page {number} has the number {page.number}")
        due = min(self.rows_a_page, self.total - (number - 1) * self.rows_a_page)
        if page.received != due:
            raise InconsistentPages(f"page {number} has {page.received} records instead of {due}")
        self._refuse_duplicate(page, number)
        self.received += page.received
        self.taken += 1

    def conclude(self) -> None:
        """Check the sum of records against the total.

        Raises:
            InconsistentPages: records are missing, or too many.
        """
        if self.taken != self.pages or self.received != self.total:
            raise InconsistentPages(
                f"{self.received} records came, but the vendor counts {self.total}"
            )

    def _refuse_duplicate(self, page: SmsPage, number: int) -> None:
        if not page.rows:
            return
        mark = (
            _sum_hashes([row.phoneNumber for row in page.rows]),
            _sum_hashes([row.dateSent for row in page.rows]),
        )
        twin = self.seen.setdefault(mark, number)
        if twin != number:
            raise InconsistentPages(f"page {number} has the rows of page {twin}")


def _sum_hashes(texts: Sequence[str | None]) -> int:
    return int(np.fromiter(map(hash, texts), np.int64, len(texts)).sum())
