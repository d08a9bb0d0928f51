"""What the checks say of loaded days: told of an account with its receipt, of a source in Dagster.

Grain: an outcome a check, of the receipts of one day: one account's, or those of every account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from statistics import median
from typing import Final

from dagster_project.model.check_outcome import (
    COMPLETE,
    DATES_INSIDE,
    HELD,
    KNOWN_VALUES,
    NO_REJECTS,
    PLAUSIBLE_VOLUME,
    READABLE,
    CheckOutcome,
)
from dagster_project.model.receipt import Receipt
from dagster_project.text.wording import list_reasons, pluralize
from dagster_project.warehouse.connection import Connection

WEEKS: Final = 4
LEAST_SAMPLES: Final = 3
"""So many earlier weekdays are needed before a volume is called usual."""
_OUTSIDE = "outside the asked window"
_UNKNOWN = ("unknown_status", "unknown_key", "unknown_form")
_DROP = 0.5
_ENOUGH_ROWS = 100

Volumes = Mapping[tuple[str, date], Sequence[int]]
"""By account and day: the rows of the same weekday in the weeks before."""


def outcomes_of_loads(
    connection: Connection, receipts: Sequence[Receipt]
) -> Iterator[tuple[Receipt, list[CheckOutcome]]]:
    """Each load's outcomes, inside the transaction that wrote its receipt."""
    before = earlier_volumes(connection, receipts)
    for receipt in receipts:
        yield receipt, list(outcomes_of([receipt], before))


def outcomes_of(receipts: Sequence[Receipt], before: Volumes) -> Iterator[CheckOutcome]:
    """What the checks say of a day; ``receipts``: one of each account."""
    yield _complete(receipts)
    yield _no_rejects(receipts)
    yield _known_values(receipts)
    yield _dates_inside(receipts)
    yield CheckOutcome(HELD, True, "error", "no answer is held back")
    yield _readable(receipts)
    yield _volume(receipts, before)


def earlier_volumes(connection: Connection, receipts: Sequence[Receipt]) -> Volumes:
    """The rows that stand of the same weekdays in the weeks before."""
    found: dict[tuple[str, date], list[int]] = defaultdict(list)
    rows = connection.execute(
        "SELECT r.account, r.day, s.rows FROM unnest(%s::text[], %s::text[], %s::date[])"
        " AS r(source, account, day), generate_series(1, %s) AS weeks, ops.day_state s"
        " WHERE s.source = r.source AND s.account = r.account AND s.day = r.day - 7 * weeks",
        (
            [receipt.source for receipt in receipts],
            [receipt.account for receipt in receipts],
            [receipt.day for receipt in receipts],
            WEEKS,
        ),
    )
    for account, day, count in rows:
        found[account, day].append(int(count))
    return found


def _complete(receipts: Sequence[Receipt]) -> CheckOutcome:
    received = sum(receipt.rows_received for receipt in receipts)
    rows = sum(receipt.rows for receipt in receipts)
    rejected = sum(receipt.rows_rejected for receipt in receipts)
    return CheckOutcome(
        COMPLETE,
        received == rows + rejected,
        "error",
        f"{received:,} received, {rows:,} loaded, {rejected:,} rejected",
        {"received": received, "loaded": rows, "rejected": rejected},
    )


def _no_rejects(receipts: Sequence[Receipt]) -> CheckOutcome:
    rejected = sum(receipt.rows_rejected for receipt in receipts)
    reasons = rejected_reasons(receipts)
    why = list_reasons(reasons)
    return CheckOutcome(
        NO_REJECTS,
        rejected == 0,
        "warning",
        f"{pluralize(rejected, 'record')} rejected{why and f': {why}'}; see ops.rejected_record"
        if rejected
        else "no record was rejected",
        {"rejected": rejected, **reasons},
        tuple(sorted(reasons)) if rejected else (),
    )


def _known_values(receipts: Sequence[Receipt]) -> CheckOutcome:
    unknown = {
        name: count
        for receipt in receipts
        for name, count in receipt.notes.get("in_window", {}).items()
        if name.startswith(_UNKNOWN)
    }
    said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in unknown.items())
    return CheckOutcome(
        KNOWN_VALUES,
        not unknown,
        "warning",
        f"{said} in all days asked together" if said else "every status, key and form is known",
        unknown,
        tuple(sorted(unknown)),
    )


def _dates_inside(receipts: Sequence[Receipt]) -> CheckOutcome:
    outside = sum(n for reason, n in rejected_reasons(receipts).items() if _OUTSIDE in reason)
    return CheckOutcome(
        DATES_INSIDE,
        outside == 0,
        "warning",
        f"{pluralize(outside, 'record')} dated outside of the window"
        if outside
        else "every record is dated inside of the window",
        {"outside": outside},
    )


def _readable(receipts: Sequence[Receipt]) -> CheckOutcome:
    doubts = {f"account {r.account}": r.doubt for r in receipts if r.doubt}
    said = "; ".join(f"{account}: {why}" for account, why in doubts.items())
    return CheckOutcome(
        READABLE,
        not doubts,
        "error",
        said or "nearly all records of the load could be read",
        dict(doubts),
    )


def _volume(receipts: Sequence[Receipt], before: Volumes) -> CheckOutcome:
    """Each account against the median of the last same weekdays; a drop below half warns.

    Of so few earlier weekdays that none of them is usual, nothing is said.
    """
    day = receipts[0].day
    rows = sum(receipt.rows for receipt in receipts)
    samples = [before.get((receipt.account, day), ()) for receipt in receipts]
    known = [
        (receipt, median(of_account))
        for receipt, of_account in zip(receipts, samples, strict=True)
        if len(of_account) >= LEAST_SAMPLES
    ]
    dropped = [
        receipt.account
        for receipt, usual in known
        if usual >= _ENOUGH_ROWS and receipt.rows < usual * _DROP
    ]
    usual = sum(usual for _, usual in known)
    compared = min(map(len, samples), default=0)
    whose = f" ({', '.join(dropped)} dropped)" if dropped and len(receipts) > 1 else ""
    told = f"{pluralize(rows, 'row')}; usual on a {day:%A}: {usual:,.0f}, the median of {compared}"
    few = f"{pluralize(rows, 'row')}; fewer than {LEAST_SAMPLES} earlier {day:%A}s to compare with"
    return CheckOutcome(
        PLAUSIBLE_VOLUME,
        not dropped,
        "warning",
        f"{told}{whose}" if known else few,
        {"rows": rows, "usual": usual, "weekdays compared": compared},
    )


def rejected_reasons(receipts: Sequence[Receipt]) -> Counter[str]:
    """Why records of these loads were rejected, and how many."""
    reasons: Counter[str] = Counter()
    for receipt in receipts:
        reasons.update(receipt.rejected_reasons)
    return reasons
