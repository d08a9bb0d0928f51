"""Rows that come back as they were written, in whatever order, told apart by 64 bits of hash each."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import zstandard
from numpy.typing import NDArray

from dagster_project.model.feed import HashRows
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import responses

Hashes = NDArray[np.uint64]


class RepeatedRows:
    """Rows that came again, in any order, beside those that are expected."""

    def __init__(self, expected: Hashes) -> None:
        self._expected = np.sort(expected)
        self._come: list[Hashes] = []

    def take(self, rows: Hashes) -> bool:
        """Take the rows of a page; return whether each is among those expected."""
        self._come.append(rows)
        if not len(self._expected):
            return not len(rows)
        places = np.searchsorted(self._expected, rows)
        places[places == len(self._expected)] = 0
        return bool((self._expected[places] == rows).all())

    @property
    def are_all(self) -> bool:
        """Whether each came as often as expected, and no other."""
        return np.array_equal(np.sort(np.concatenate(self._come)), self._expected)


def read_rows(
    connection: Connection, extraction_id: int, hash_rows: HashRows, sequences: Collection[int]
) -> Hashes | None:
    """The hashes of the rows of stored pages, one page after another; None: a page's cannot be told apart."""
    pages = responses.read_responses(connection, extraction_id, sequences)
    try:
        found = [hash_rows(page) for page in pages]
    except zstandard.ZstdError:  # a stored page is damaged: the load does not need it
        return None
    known = [rows for rows in found if rows is not None]
    return np.concatenate(known) if known and len(known) == len(sequences) else None
