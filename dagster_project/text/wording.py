"""Wording of figures in sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

REASONS_SHOWN: Final = 5


def pluralize(count: int, noun: str) -> str:
    """The count with its noun: ``1 request``, ``12,345 requests``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def span_text(days: Collection[date]) -> str:
    """``2024-04-01`` or ``2024-04-01..2024-04-03``, from the first of these days to the last."""
    first, last = min(days), max(days)
    return f"{first}" if first == last else f"{first}..{last}"


def list_reasons(reasons: Mapping[str, int]) -> str:
    """``20 unreadable dateSent, 8 no phone``: the most frequent first, of many the first ones."""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    parts = [f"{count:,} {reason}" for reason, count in ordered[:REASONS_SHOWN]]
    left = sum(count for _, count in ordered[REASONS_SHOWN:])
    return ", ".join([*parts, *([f"{left:,} for other reasons"] if left else [])])


def shorten(texts: Sequence[str], most: int, noun: str = "") -> list[str]:
    """The first of the texts, and how many there are more: ``and 3 more``, ``and 3 causes more``."""
    left = len(texts) - most
    return [*texts[:most], f"and {left} {noun}{' ' if noun else ''}more"] if left > 0 else [*texts]
