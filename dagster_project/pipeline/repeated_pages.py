"""Pages that are, byte for byte, those that a window's rows were loaded from: their rows need not be encoded again.

The rows that stand must be those of one earlier load: one extraction of the same days, encoded by the same code
and settings (``encoding.py``), nothing held back or rejected, number and checksum of every day's rows as in its
receipt, and all of its pages stored as received. As soon as one page differs, all pages are encoded, those that
came before from where they were stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dagster_project.model.receipt import Receipt
from dagster_project.warehouse.ledger import load_receipts, responses
from dagster_project.warehouse.load.window_load import WindowLoad


@dataclass(slots=True)
class RepeatedPages:
    """The pages of one load that are as they were, up to the first that is not.

    ``receipts``: of the load that the rows are from. ``awaited``: the SHA-256 of its pages that did not come yet,
    by number; empty from the beginning: there is nothing to compare with.
    """

    receipts: Sequence[Receipt] = ()
    awaited: dict[int, bytes] = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)

    def take(self, sequence: int, digest: bytes) -> bool:
        """Take a page that was stored; return whether it is as it was. If not, give up."""
        self.taken.append(sequence)
        return self.awaited.pop(sequence, None) == digest

    def give_up(self) -> list[int]:
        """Compare no page any more; return the numbers of those taken, whose rows are to be encoded after all."""
        taken, self.taken = self.taken, []
        self.awaited.clear()
        return taken

    @property
    def are_all(self) -> bool:
        """Whether every page of the earlier load came again, and no other."""
        return bool(self.taken) and not self.awaited


def find_repeated(load: WindowLoad) -> RepeatedPages:
    """What the pages of a load that has begun are to be compared with."""
    if load.encoding is None or load.skip:
        return RepeatedPages()
    receipts = load_receipts.read_receipts_of_one_load(load.connection, load.window, load.encoding)
    if not receipts or not load.stands_as(receipts):
        return RepeatedPages()
    extraction_id = receipts[0].extraction_id
    return RepeatedPages(receipts, responses.read_digests(load.connection, extraction_id))
