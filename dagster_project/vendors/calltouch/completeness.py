"""Whether the pages of a window are all of it, told from what they say of themselves.

A window is whole when every page names the same total, carries the number that was asked for, holds
as many records as the total leaves for it (10,000, the last one the rest), and no page came twice.
Rows move between pages while new ones arrive, and have no id: only the numbers can prove it.

A page that came twice is known by its phones and seconds, in any order and whatever their
statuses have become: two sums of hashes, about 2 ms a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dagster_project.vendors.calltouch.pages import SmsPage

ROWS_PER_PAGE = 10_000


class InconsistentPages(Exception):
    """The pages contradict each other, or what was asked: the window has to be read again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class CompletenessCheck:
    """Takes the pages of one reading of a window, in any order but for page 1."""

    rows_a_page: int = ROWS_PER_PAGE
    total: int = -1
    seen: dict[tuple[int, int], int] = field(default_factory=dict)
    received: int = 0
    taken: int = 0

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.rows_a_page), 1)

    def take(self, page: SmsPage, number: int) -> None:
        """Hold one page against the others.

        Raises:
            InconsistentPages: it cannot be a page of the same window at the same moment.
        """
        if page.total is None or page.total < 0:
            raise InconsistentPages(f"page {number} tells no total")
        if self.total < 0:
            self.total = page.total
        if page.total != self.total:
            raise InconsistentPages(
                f"the total moved from {self.total} to {page.total} on page {number}"
            )
        if page.number != number and not (number == 1 and page.number in (None, 0)):
            raise InconsistentPages(f"page {number} came with the number {page.number}")
        due = min(self.rows_a_page, self.total - (number - 1) * self.rows_a_page)
        if page.received != due:
            raise InconsistentPages(
                f"page {number} holds {page.received} records where {due} are due"
            )
        self._refuse_duplicate(page, number)
        self.received += page.received
        self.taken += 1

    def conclude(self) -> None:
        """Hold the sum against the total.

        Raises:
            InconsistentPages: records are missing, or too many.
        """
        if self.taken != self.pages or self.received != self.total:
            raise InconsistentPages(
                f"{self.received} records came where the vendor counts {self.total}"
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
            raise InconsistentPages(f"page {number} holds the rows of page {twin}")


def _sum_hashes(texts: Sequence[str | None]) -> int:
    return int(np.fromiter(map(hash, texts), np.int64, len(texts)).sum())
