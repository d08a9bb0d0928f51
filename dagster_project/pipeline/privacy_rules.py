"""Privacy rules of a window, and the two steps that go by them.

A number that was erased is taken out of every response before it is stored or read; rows of days that are
old enough carry no personal data. The rules are read once for a window and handed to each step.
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
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.rejects import redact_rejects

NO_RULES: Final = Rules(Suppression(b""), date.min, b"")
"""Of a feed that holds no personal data."""


@contextmanager
def privacy_rules(
    feed: Feed, connection: Connection, account: Account, pii_key: str
) -> Iterator[Rules]:
    """The rules of one window, unchanged until it has committed; ``connection`` commits at once."""
    if feed.personal is None and feed.reduction is None:
        yield NO_RULES
        return
    with suppression.hold_rules(connection, account, pii_key) as rules:
        _redact_known_rejects(feed, connection, rules)
        yield rules


def redact_response(feed: Feed, response: Response, rules: Rules) -> Response:
    """The response without the numbers that were erased: what is stored, and read."""
    if feed.personal is None or not rules.suppression:
        return response
    return feed.personal.redact(response, rules.suppression)


def encode_rows(
    feed: Feed, encoder: RowEncoder, response: Response, window: Window, rules: Rules
) -> Batch:
    """The response's rows, those of old days reduced."""
    batch = encoder(response, window)
    if feed.reduction is None or window.first_day >= rules.reduced_before:
        return batch
    return feed.reduction.reduce_batch(batch, window, rules.reduced_before, rules.reduction_key)


def _redact_known_rejects(feed: Feed, connection: Connection, rules: Rules) -> None:
    """While an erasure is under way, or was stopped: take the numbers out of the rejects that stand.

    A record that a load met before would look like a new one otherwise, and its day be held.
    """
    personal = feed.personal
    if personal is None or not rules.suppression or not suppression.is_erasing(connection):
        return
    redact_rejects(
        connection,
        feed.source,
        lambda original: personal.redact_reject(original, rules.suppression),
    )
