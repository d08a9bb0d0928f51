"""Figures in sentences, as a person would write them."""

from __future__ import annotations


def pluralize(count: int, noun: str) -> str:
    """``1 request``, ``12,345 requests``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
