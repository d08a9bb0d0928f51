"""Read the whole purchase history until it is proved complete.

One request suffices if the server accepts a ``per_page`` above the count. If it limits ``per_page``, pages follow,
newest first, and purchases that arrive meanwhile shift the rest: some come twice, others are missed. So purchases
are counted, not pages: reading goes on, again from the first page if necessary, until as many distinct purchases
were seen as the latest response counts. If a purchase was read twice, the later reading is valid; the stored
request of the earlier response names it (``superseded``), so that a replay knows it too.

Pages that do not differ are an error, and so is a history whose numbers never agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from dagster_project.errors import AnswerNotTrusted
from dagster_project.vendors.tellody.payment_page import (
    SUPERSEDED,
    Identity,
    PaymentPage,
    PaymentResponse,
)

ALL_AT_ONCE: Final = 20_000
"""``per_page`` of the first question: about 30 MB of purchases, more than any account has bought."""
MOST_PASSES: Final = 6
"""How often all pages may be read before the history is an error."""
MOST_RESTARTS: Final = 3

Ask = Callable[[int, int], PaymentResponse]
"""Asks for a page, by its number and ``per_page``."""


class _Shrank(Exception):
    """The vendor counts fewer purchases than before: the reading must begin again."""


@dataclass(slots=True)
class History:
    """Responses that together have every purchase once. ``total`` is the vendor's own count."""

    answers: list[PaymentResponse]
    total: int
    reads: int


@dataclass(slots=True)
class _Reading:
    answers: list[PaymentResponse] = field(default_factory=list)
    holders: dict[Identity, tuple[int, int]] = field(default_factory=dict)
    count: int = 0

    def take(self, answer: PaymentResponse) -> PaymentPage:
        page = answer.page
        if page.count < self.count:
            raise _Shrank
        self.count = page.count
        for position, identity in reversed(list(enumerate(page.identities))):
            self.holders[identity] = (len(self.answers), position)
        self.answers.append(answer)
        if len(self.holders) > self.count:
            raise _Shrank
        return page

    @property
    def is_whole(self) -> bool:
        """Whether as many distinct purchases came as are counted; or one response has so many records."""
        alone = len(self.answers) == 1 and len(self.answers[0].page.records) == self.count
        return alone or len(self.holders) == self.count


def read_history(ask: Ask) -> History:
    """Read the whole history.

    Raises:
        AnswerNotTrusted: paging does not work, or the numbers do not agree.
    """
    reads = 0
    for _ in range(MOST_RESTARTS):
        reading = _Reading()
        try:
            _read_pages(ask, reading)
            return History(_drop_superseded(reading), reading.count, reads + len(reading.answers))
        except _Shrank:
            reads += len(reading.answers) + 1
    raise AnswerNotTrusted(
        f"the purchases were counted differently in each of {MOST_RESTARTS} readings.",
        hint="run again; if it repeats, look at the vendor's payment history.",
    )


def _read_pages(ask: Ask, reading: _Reading) -> None:
    newest = reading.take(ask(0, ALL_AT_ONCE))
    size = len(newest.records)
    number, topping_up = 1, False
    while not reading.is_whole:
        if not size or len(reading.answers) > MOST_PASSES * (1 + reading.count // size):
            raise _incomplete_error(reading)
        if number * size >= reading.count:
            number = 0
        known = len(reading.holders)
        page = reading.take(ask(number, size))
        if number and page.identities == newest.identities and page.count == newest.count:
            # Paging does not work, or purchases moved by whole pages: then the first page is another one now.
            suspected, page = number, reading.take(ask(0, size))
            if page.identities == newest.identities:
                raise _paging_error(suspected)
            number = 0
        gained = len(reading.holders) > known
        if number == 0:
            newest, topping_up = page, gained
        elif not page.records:
            raise _incomplete_error(reading)
        # New purchases are on the first pages: after reading them, the first page is read again. If it has
        # nothing new, the missing ones are on later pages.
        number = 0 if topping_up and not gained else number + 1


def _drop_superseded(reading: _Reading) -> list[PaymentResponse]:
    """Drop responses with nothing current, and number the others; each names its superseded purchases."""
    answers: list[PaymentResponse] = []
    for number, answer in enumerate(reading.answers):
        page = answer.page
        outdated = [
            position
            for position, identity in enumerate(page.identities)
            if reading.holders[identity][0] != number
        ]
        if outdated and len(outdated) == len(page.identities):
            continue
        request = {**answer.request, SUPERSEDED: outdated} if outdated else answer.request
        answers.append(replace(answer, request=request, sequence=len(answers) + 1))
    return answers


def _incomplete_error(reading: _Reading) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"{reading.count} purchases are counted, {len(reading.holders)} distinct ones came.",
        hint="run again; if it repeats, look at the vendor's payment history.",
    )


def _paging_error(number: int) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"page {number} of the purchases equals page 0: paging does not work.",
        hint="ask Tellody to answer all purchases at once, or to page them.",
    )
