"""The marts behind schema ``bi``, kept current by each load.

Grain: what a load changed, by account and day. ``after_load`` is the last statement of the load's
transaction, since it takes a lock on the site until the commit; so readers see rows and marts change
together. ``refresh_stale`` counts distinct recipients, for which it needs whole months; it runs after the
commit, once for many loads. During a long load, the months that it has finished are counted already. All
arithmetic is SQL, in functions of schema ``mart`` that run as their owner and write only what differs.

A template's text is shown once 20 distinct recipients of a site had it. Only then is one of its texts masked
and written to ``mart``; no text of other templates is kept there. Templates whose masked texts are equal are
shown, counted and labelled as one, so that an id reveals no more than the text beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from uuid import UUID

from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.warehouse.connection import Connection

Mask = Callable[[str], str | None]

ROWS_AT_ONCE = 500_000
PATIENCE_SECONDS = 300.0
BUSY_SECONDS = 0.2
ALL_SITES = 0
"""In the queue: what is counted over all sites, after them."""


def after_load(
    connection: Connection,
    vendor: str,
    account: Account,
    receipts: Sequence[Receipt],
    *,
    sms_mask: Mask | None = None,
    currency: str | None = None,
) -> None:
    """Bring the marts up to date with the days of these receipts, inside their transaction.

    ``sms_mask``, of a feed whose rows are single SMS, turns a text into its template; it is asked for
    texts that became public just now.
    """
    written = [receipt for receipt in receipts if not receipt.already_there]
    if not written:
        return
    connection.execute(
        "SELECT mart.register_account(%s, %s, %s, %s)",
        (vendor, account.label, account.time_zone.key, currency),
    )
    if sms_mask is not None:
        _refresh_sms(connection, account, written, sms_mask)
    connection.execute(
        "SELECT mart.refresh_messaging(%s, %s, %s::date[])",
        (account.source, account.label, [receipt.day for receipt in written]),
    )


def refresh_stale(
    connection: Connection,
    mask: Mask,
    *,
    passed_only: bool = False,
    finished: Collection[int] = (),
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Work off the queue of months and days to be counted afresh; answers how many months there were.

    ``connection`` is one that commits by itself; each month is a transaction of its own. Safe in
    several processes at once: they share the work, and what another one is at is waited for.
    ``passed_only`` leaves each site's month that was loaded last, unless the site is ``finished``, and
    what others are at; that is waited for no longer than ``patience``.
    """
    months = 0
    give_up = time.monotonic() + patience
    while True:
        with connection.transaction():
            if passed_only:  # one core does for it, beside the load
                connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
            taken = connection.execute(
                "SELECT * FROM mart.take_stale(%s, %s::bigint[])", (passed_only, list(finished))
            ).fetchone()
            if taken is None:
                break
            site, month, days = taken
            if site is not None:
                _count_afresh(connection, site, month, days, mask)
        if site is not None:
            months += site != ALL_SITES
            give_up = time.monotonic() + patience
        elif passed_only or time.monotonic() > give_up:
            break
        else:
            time.sleep(BUSY_SECONDS)
    if not passed_only:
        _mask_shown_texts(connection, mask)
    if months:
        connection.execute("SELECT mart.renew_statistics()")
    return months


def recount(connection: Connection, site_ids: Sequence[int], days: Sequence[date]) -> None:
    """Queue loaded days to be counted afresh, where rows changed otherwise than by a load."""
    connection.execute(
        "SELECT mart.mark_stale(%s::bigint[], %s::date[], false)", (list(site_ids), list(days))
    )


def recount_rewritten_sms(
    connection: Connection, account: Account, day: date, gone: Collection[bytes]
) -> None:
    """In the transaction that rewrote a day's rows: have its marts counted afresh, without who is gone."""
    recount(connection, [int(account.label)], [day])
    connection.execute("SELECT mart.forget_recipients(%s::uuid[])", ([one.hex() for one in gone],))


def _refresh_sms(
    connection: Connection, account: Account, receipts: Sequence[Receipt], mask: Mask
) -> None:
    site = int(account.label)
    asked_on = max(r.observed_at for r in receipts).astimezone(account.time_zone).date()
    unchanged = [receipt.day for receipt in receipts if not receipt.changed]
    changed = [receipt for receipt in receipts if receipt.changed]
    for days in _portions(changed):
        published = connection.execute(
            "SELECT * FROM mart.refresh_sms(%s, %s::date[], %s, %s)",
            (site, days, account.time_zone.key, asked_on),
        ).fetchall()
        _name_templates(connection, site, published, mask)
        connection.execute("SELECT mart.mark_stale(ARRAY[%s]::bigint[], %s, true)", (site, days))
    if unchanged:
        connection.execute(
            "SELECT mart.observe_unchanged(%s, %s::date[], %s)", (site, unchanged, asked_on)
        )


def _count_afresh(
    connection: Connection, site: int, month: date, days: Sequence[date], mask: Mask
) -> None:
    if days:
        published = connection.execute(
            "SELECT * FROM mart.recount(%s, %s::date[])", (site, days)
        ).fetchall()
        _name_templates(connection, site, published, mask)
    connection.execute("SELECT mart.refresh_month(%s, %s)", (site, month))


def _portions(receipts: Sequence[Receipt]) -> Iterator[list[date]]:
    """The days in portions that are counted in memory at once, never less than one day."""
    days: list[date] = []
    rows = 0
    for receipt in receipts:
        if days and rows + receipt.rows > ROWS_AT_ONCE:
            yield days
            days, rows = [], 0
        days.append(receipt.day)
        rows += receipt.rows
    if days:
        yield days


def _name_templates(
    connection: Connection, site: int, published: Sequence[tuple[UUID, str]], mask: Mask
) -> None:
    if published:
        connection.execute(
            "SELECT mart.name_templates(%s, %s::uuid[], %s::text[])",
            (site, [row[0] for row in published], [mask(row[1]) for row in published]),
        )


def _mask_shown_texts(connection: Connection, mask: Mask) -> None:
    """Mask texts once more that an earlier version showed with names in them."""
    for site, ids, texts in connection.execute("SELECT * FROM mart.texts_to_mask()").fetchall():
        _name_templates(connection, site, list(zip(ids, texts, strict=True)), mask)
