"""Encode the answers of vendors that tell the totals of one day: a row a day, or the answer as its reject."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from dagster_project.model.batch import Batch, Reject
from dagster_project.model.copy_binary import encode_batch
from dagster_project.model.table import Table
from dagster_project.text.raw_json import as_text
from dagster_project.text.scrub import mask_personal

ONLY_ROW_OF_ITS_DAY: Final = bytes(16)
MOST_KEYS_NAMED: Final = 20
LONGEST_KEY_NAMED: Final = 60


def encode_totals(table: Table, rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Encode rows of which an account has one a day: their keys need not differ."""
    return encode_batch(table, rows, lambda row: ONLY_ROW_OF_ITS_DAY)


def reject_answer(table: Table, body: bytes, day: date, why: str) -> Batch:
    """A batch without a row, with the answer as its reject."""
    batch = encode_totals(table, [])
    batch.received = 1
    batch.rejects.append(Reject(why, as_text(body), day))
    return batch


def count_unknown_keys(keys: Sequence[str]) -> Counter[str]:
    """Count keys that are not documented, the first ones by name, without anything personal."""
    counts = Counter(
        f"unknown_key:{json.dumps(mask_personal(key))[1:-1][:LONGEST_KEY_NAMED]}"
        for key in keys[:MOST_KEYS_NAMED]
    )
    if len(keys) > MOST_KEYS_NAMED:
        counts["unknown_key:(others)"] = len(keys) - MOST_KEYS_NAMED
    return counts
