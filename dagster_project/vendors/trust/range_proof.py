"""Decide whether the server honours a date range, by its responses. Pure.

The names of the range's parameters are not documented, and a server that does not know them may ignore them: then its
rolling seven days would be loaded as one day, seven times too much.

*Honoured*, all at one company: without a range there are figures; for a day long before the company existed there are
none; for one of the last eight days, requested singly as extraction does, there are figures; and without a range there
still are, so the company did not become quiet meanwhile. *Ignored*: there are figures for the day long ago; or for
none of the last eight days, although there are without a range (the server returns nothing for any range, or leaves
out a range's last day). Anything else, above all a quiet company, is *unproven*.

A conclusion is valid until another one contradicts it; a later inconclusive attempt does not change it. It is proved
again when it is ``PROOF_LASTS`` old: every night. Meanwhile each run that loads days requests the day long ago again
(``prover``), so that a change of the server spoils no run. Inconclusive attempts are ``ATTEMPTS_APART``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from dagster_project.model.range_proof import RangeProof
from dagster_project.model.window import ONE_DAY
from dagster_project.vendors.trust.figures import Figures

LONG_AGO: Final = date(2000, 1, 1)
RECENT_DAYS: Final = 8
PROOF_LASTS: Final = timedelta(hours=20)
ATTEMPTS_APART: Final = timedelta(hours=1)

State = Literal["honoured", "ignored", "unproven"]


@dataclass(slots=True)
class Observation:
    """One company's responses; ``None``: not requested, or no response.

    ``recent`` has the days that were requested one by one, up to the first that was not empty.
    """

    rolling: Figures | None = None
    long_ago: Figures | None = None
    recent: dict[date, Figures] = field(default_factory=dict)
    rolling_again: Figures | None = None
    failure: str | None = None

    def evidence(self) -> dict[str, Any]:
        return {what: figures.counters() for what, figures in self.answers().items()}

    def answers(self) -> dict[str, Figures]:
        """The requests in words, with their figures."""
        asked = {
            "without a range": self.rolling,
            f"{LONG_AGO}..{LONG_AGO}": self.long_ago,
            **{f"{day}..{day}": figures for day, figures in self.recent.items()},
            "without a range, again": self.rolling_again,
        }
        return {what: figures for what, figures in asked.items() if figures is not None}


def recent_days(today: date) -> list[date]:
    """The days to request singly, newest first: they cover "the last 7 days" in any reading."""
    return [today - n * ONE_DAY for n in range(RECENT_DAYS)]


def decide(seen: Observation) -> tuple[State, str]:
    """Decide which state an observation proves; return it with the reason in words."""
    if seen.failure is not None:
        return "unproven", seen.failure
    if not all(figures.is_complete for figures in seen.answers().values()):
        return "unproven", "counters are null or absent, which proves nothing"
    if seen.rolling is None or seen.rolling.is_empty:
        return "unproven", "the company is quiet: without a range there are no figures"
    if seen.long_ago is None:
        return "unproven", "no day long ago was requested"
    if not seen.long_ago.is_empty:
        same = ", the same as without a range" if seen.long_ago == seen.rolling else ""
        return "ignored", f"for {LONG_AGO}, before the company existed, there are figures{same}"
    speaking = [(day, figures) for day, figures in seen.recent.items() if not figures.is_empty]
    if not speaking and len(seen.recent) < RECENT_DAYS:
        return "unproven", "the last days were not requested"
    if not speaking:
        return "ignored", (
            f"there are no figures for any of the last {RECENT_DAYS} days, but there are without a range"
        )
    if seen.rolling_again is None or seen.rolling_again.is_empty:
        return "unproven", "the company became quiet meanwhile"
    day, figures = speaking[0]
    doubt = (
        f"; but {day} has the same figures as the whole week: unless it was the only active day,"
        " the range's start is not honoured"
        if figures == seen.rolling
        else ""
    )
    return "honoured", (
        f"for {LONG_AGO}, before the company existed, there are no figures; without a range, and for"
        f" {day}, there are{doubt}"
    )


def effective_proof(proofs: Iterable[RangeProof]) -> RangeProof | None:
    """The effective proof: the latest conclusive one, else the latest attempt."""
    return max(proofs, key=lambda proof: (proof.is_conclusive, proof.asked_at), default=None)


def is_due(proofs: Iterable[RangeProof], now: datetime) -> bool:
    """Whether to ask the vendor (again)."""
    ages = [(proof.is_conclusive, abs(now - proof.asked_at)) for proof in proofs]
    return not any(
        age < (PROOF_LASTS if conclusive else ATTEMPTS_APART) for conclusive, age in ages
    )


def overturn_note(proof: RangeProof, before: RangeProof | None) -> str:
    """The addition to a reason if a server that honoured ranges no longer does; else empty."""
    if before is None or before.state != "honoured" or proof.state != "ignored":
        return ""
    return f"; it was honoured at {before.asked_at:%Y-%m-%d %H:%M}Z: daily rows loaded since are in doubt"
