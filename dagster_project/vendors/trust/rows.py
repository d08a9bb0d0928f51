"""Encode a response as a row of ``warehouse.trust_campaign_statistics``: one row for each company and day. Pure.

Key: day and company, so there is at most one row for them. The response does not say which days its figures cover.
The client, which knows its request and whether the server honours ranges, writes them into the stored request
(``covers``), also for replays. Daily: the one day, ``is_daily``. Rolling: the day of the request and the six days
before, under the day of the request.

``asked_at`` is not in the row's hash: a rerun with the same figures writes no row, and the row keeps the time at which
they were first returned. Figures that do not add up are counted as warnings and loaded: the document's own sample has
actions without anything sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import xxhash

from dagster_project.errors import AnswerNotTrusted, ValueUnreadable
from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import encode_record
from dagster_project.model.daily_totals import count_unknown_keys, encode_totals, reject_answer
from dagster_project.model.response import Response
from dagster_project.model.window import Window
from dagster_project.vendors.trust.figures import (
    Figures,
    read_figures,
)
from dagster_project.vendors.trust.table import ROLLING_WEEK, TABLE


@dataclass(frozen=True, slots=True)
class Coverage:
    """The days that a response's figures cover. ``stats_on``: the day of the row."""

    first_day: date
    last_day: date
    is_daily: bool

    @property
    def stats_on(self) -> date:
        return self.last_day

    def as_json(self) -> dict[str, Any]:
        return {
            "from": self.first_day.isoformat(),
            "to": self.last_day.isoformat(),
            "is_daily": self.is_daily,
        }

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Coverage:
        """Read the coverage from a stored request. Raises AnswerNotTrusted if it has none."""
        try:
            covers = request["covers"]
            first, last = (date.fromisoformat(covers[bound]) for bound in ("from", "to"))
            if not isinstance(covers["is_daily"], bool):
                raise TypeError("is_daily")
            return cls(first, last, covers["is_daily"])
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerNotTrusted(
                "the stored request does not say which days the answer covers.", source="trust"
            ) from error


def to_batch(answer: Response, window: Window) -> Batch:
    """Encode the one row of a response; none if its day is outside the window.

    Raises:
        AnswerNotTrusted: the response has an unknown form.
    """
    coverage = Coverage.from_request(answer.request)
    try:
        rows = [_row(answer, window, coverage)] if coverage.stats_on in window else []
    except ValueUnreadable as why:
        return reject_answer(TABLE, answer.body, coverage.stats_on, why.what)
    batch = encode_totals(TABLE, [row for row, _ in rows])
    batch.hashes = np.array([_hash_without_asked_at(row) for row, _ in rows], dtype=np.uint64)
    for _, figures in rows:
        batch.counts.update(_count_oddities(figures))
        batch.nulls.update(figures.nulls)
        batch.absent.update(figures.absent)
        if not coverage.is_daily:
            batch.counts[ROLLING_WEEK] += 1
    return batch


def _row(answer: Response, window: Window, coverage: Coverage) -> tuple[dict[str, Any], Figures]:
    try:
        figures = read_figures(answer.body)
    except AnswerNotTrusted as error:
        error.add_context(account=window.account.label, window=coverage.stats_on)
        raise
    row = {
        "stats_on": coverage.stats_on,
        "company_id": int(window.account.label),
        "window_from": coverage.first_day,
        "window_to": coverage.last_day,
        "is_daily": coverage.is_daily,
        "asked_at": answer.asked_at,
        "extra": figures.extra,
        **figures.counters(),
    }
    return row, figures


def _hash_without_asked_at(row: Mapping[str, Any]) -> int:
    return xxhash.xxh3_64_intdigest(encode_record(TABLE, {**row, "asked_at": None}, Counter()))


def _count_oddities(figures: Figures) -> Counter[str]:
    counts = Counter(f"arithmetic: {complaint}" for complaint in _contradictions(figures))
    counts += count_unknown_keys(figures.unknown_keys)
    if figures.campaigns is None:
        counts["absent_key:campaign"] += 1
    return counts


def _contradictions(figures: Figures) -> Iterator[str]:
    """Yield the sums that do not add up; sums with a counter that is not reported are skipped."""
    sent, received = figures.sent, figures.received
    sums = _sum(figures.sent, figures.pending, figures.failed)
    if figures.total is not None and sums is not None and figures.total != sums:
        yield "total is not sended + pending + fails"
    if received is not None and sent is not None and received > sent:
        yield "RECEIVED exceeds sended"
    seen = _sum(figures.pressed, figures.closed, figures.unknown)
    if seen is not None and sent is not None and seen > sent:
        yield "PRESS_ACTION, CLOSED and UNKNOWN exceed sended"


def _sum(*counters: int | None) -> int | None:
    known = [counter for counter in counters if counter is not None]
    return sum(known) if len(known) == len(counters) else None
