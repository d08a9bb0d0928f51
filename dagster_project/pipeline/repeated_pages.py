"""An answer with the very rows that a window was loaded from: they need not be encoded again.

The rows that stand must be those of one earlier load: one extraction of the same days, encoded by the same code
and settings (``encoding.py``), nothing held back or rejected, number and checksum of every day's rows as in its
receipt, and all of its pages stored as received. Pages are compared whole, by SHA-256. From the first one that
differs on, the answer's rows are compared as they are written, by 64 bits of hash each, in whatever order and on
whatever pages they come: each as often as in the earlier load's pages, and no other. A row's bytes alone decide
what it becomes. As soon as a page has a row that none of those pages has, all pages are encoded, those that came
before from where they were stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

from dagster_project.model.feed import HashRows
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import Response
from dagster_project.pipeline.repeated_rows import Hashes, RepeatedRows, read_rows
from dagster_project.warehouse.ledger import load_receipts, responses
from dagster_project.warehouse.load.window_load import WindowLoad


@dataclass(slots=True)
class RepeatedPages:
    """The pages of one load whose rows are as they were, up to the first that has another.

    ``receipts``: of the load that the rows are from. ``awaited``: the SHA-256 of its pages that did not come yet,
    by number; empty from the beginning: there is nothing to compare with. ``hash_rows`` hashes the rows of a page,
    and ``read_rows`` those of its stored pages of these numbers; both return None where rows cannot be compared.
    """

    receipts: Sequence[Receipt] = ()
    awaited: dict[int, bytes] = field(default_factory=dict)
    hash_rows: HashRows = lambda response: None
    read_rows: Callable[[Collection[int]], Hashes | None] = lambda sequences: None
    taken: list[int] = field(default_factory=list)
    rows: RepeatedRows | None = None

    @property
    def are_compared(self) -> bool:
        """Whether the next page is to be taken, or encoded at once."""
        return bool(self.awaited) or self.rows is not None

    def take(self, response: Response, digest: bytes) -> bool:
        """Take a page that was stored; return whether its rows are as they were. If not, give up."""
        self.taken.append(response.sequence)
        if self.rows is None:
            if self.awaited.get(response.sequence) == digest:
                del self.awaited[response.sequence]
                return True
            expected = self.read_rows(self.awaited)
            if expected is None:
                return False
            self.rows = RepeatedRows(expected)
        rows = self.hash_rows(response)
        return rows is not None and self.rows.take(rows)

    def give_up(self) -> list[int]:
        """Compare no page any more; return the numbers of those taken, whose rows are to be encoded after all."""
        taken, self.taken = self.taken, []
        self.awaited.clear()
        self.rows = None
        return taken

    @property
    def are_all(self) -> bool:
        """Whether every row of the earlier load came again, and no other."""
        if self.rows is not None:
            return self.rows.are_all
        return bool(self.taken) and not self.awaited


def find_repeated(load: WindowLoad, hash_rows: HashRows | None) -> RepeatedPages:
    """What the pages of a load that has begun are to be compared with."""
    if load.encoding is None or load.skip:
        return RepeatedPages()
    receipts = load_receipts.read_receipts_of_one_load(load.connection, load.window, load.encoding)
    if not receipts or not load.stands_as(receipts):
        return RepeatedPages()
    extraction_id = receipts[0].extraction_id
    found = RepeatedPages(receipts, responses.read_digests(load.connection, extraction_id))
    if hash_rows is not None:
        found.hash_rows = hash_rows
        found.read_rows = partial(read_rows, load.connection, extraction_id, hash_rows)
    return found
