"""The privacy rules of a window, and the two steps that apply them.

Erased numbers are removed from every response before it is stored or read, and rows of old days are reduced.
The rules are read once for each window and passed to each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final

from dagster_project.model.batch import Batch, RowEncoder
from dagster_project.model.feed import Feed
from dagster_project.model.privacy import Rules, Suppression
from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.privacy import suppression
from dagster_project.privacy.erasure_receipts import unfinished
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.rejects import redact_rejects

NO_RULES: Final = Rules(Suppression(b""), date.min, b"")
"""The rules of a feed without personal data."""


@contextmanager
def privacy_rules(
    feed: Feed, connection: Connection, account: Account, pii_key: str
) -> Iterator[Rules]:
    """Hold the rules of one window, unchanged until it has committed; ``connection`` is in autocommit."""
    if feed.personal is None and feed.reduction is None:
        yield NO_RULES
        return
    with suppression.hold_rules(connection, account, pii_key) as rules:
        _redact_known_rejects(feed, connection, rules)
        yield rules


def redact_response(feed: Feed, response: Response, rules: Rules) -> Response:
    """Remove erased numbers from the response, before it is stored and read."""
    if feed.personal is None or not rules.suppression:
        return response
    return feed.personal.redact(response, rules.suppression)


def encode_rows(
    feed: Feed, encoder: RowEncoder, response: Response, window: Window, rules: Rules
) -> Batch:
    """Encode the response's rows, and reduce those of old days."""
    batch = encoder(response, window)
    if feed.reduction is None or window.first_day >= rules.reduced_before:
        return batch
    return feed.reduction.reduce_batch(batch, window, rules.reduced_before, rules.reduction_key)


def _redact_known_rejects(feed: Feed, connection: Connection, rules: Rules) -> None:
    """While an erasure is under way or was stopped, remove the numbers from stored rejects.

    Otherwise a record that an earlier load rejected would look new, and its day would be held.
    """
    personal = feed.personal
    if personal is None or not rules.suppression or not unfinished(connection):
        return
    redact_rejects(
        connection,
        feed.source,
        lambda original: personal.redact_reject(original, rules.suppression),
    )
