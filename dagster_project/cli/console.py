"""The terminal that tables and lists are printed to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

WIDTH: Final = 80
"""Columns where the output is no terminal: what a terminal has at least."""
FOLDED: Final = "account"
_BETWEEN: Final = "  "


def new_console() -> Console:
    """As wide as its terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def echo_json(found: object) -> None:
    """What a program reads in place of a table."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def print_table(
    console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: int
) -> None:
    """Print a table, its first columns on the left side; where it is too wide, account labels are folded.

    Rich takes half a millisecond for a row, and accounts may be a thousand: what fits is laid out here.
    """
    heads = [header.split("\n") for header in headers]
    widths = [
        max(map(cell_len, [*head, *column]))
        for head, column in zip(heads, _columns(rows, len(heads)), strict=True)
    ]
    width = sum(widths) + len(_BETWEEN) * (len(widths) - 1)
    if width + 2 > console.width:
        console.print(drawn_table(headers, rows, left=left))
        return
    height = max(map(len, heads))
    above = zip(*([""] * (height - len(head)) + head for head in heads), strict=True)
    edge = " " * (width + 2)
    for line in (edge, *(_line(cells, widths, left) for cells in above)):
        console.print(line, style="bold", markup=False, soft_wrap=True)
    body = (_line(cells, widths, left) for cells in rows)
    console.file.write("\n".join([f" {'─' * width} ", *body, edge]) + "\n")


def drawn_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> Table:
    """The table as Rich draws it. Only an account's label has no bound: it is folded, nothing is cut."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(
            header,
            justify="left" if place < left else "right",
            overflow="fold",
            no_wrap=header != FOLDED,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _columns(rows: Sequence[Sequence[str]], count: int) -> list[Sequence[str]]:
    return [*zip(*rows, strict=True)] if rows else [()] * count


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    laid = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        laid.append(cell + space if place < left else space + cell)
    return f" {_BETWEEN.join(laid)} "
