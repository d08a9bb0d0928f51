"""The terminal that tables and lists are printed to."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console

WIDTH: Final = 80
"""Columns where the output is no terminal: what a terminal has at least."""


def new_console() -> Console:
    """As wide as its terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
