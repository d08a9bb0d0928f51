"""Which days of accounts are red, and why; read from the ledger, as many queries for a thousand accounts as for one.

A day is *red* for a reason: it is missing, it was asked for in vain, a newer answer is held, the last attempt
failed, its records did not add up, some were rejected, it is dated in the future, or another check of it does
not pass. What an alarm that was acknowledged or muted tells of a check is not red. Each reason names where it
is recorded: the receipt, the extraction.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from dagster_project import clock
from dagster_project.model.check_outcome import (
    DATES_INSIDE,
    HELD,
    KNOWN_VALUES,
    NO_REJECTS,
    PLAUSIBLE_VOLUME,
)
from dagster_project.monitoring.alarm_outbox import excused_checks
from dagster_project.monitoring.lateness import Expected
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.check_outcomes import failing_checks
from dagster_project.warehouse.ledger.extractions import CODE_VERSION

Key = tuple[str, str]
"""Source and account."""
ASKED: Final = "unnest(%(sources)s::text[], %(accounts)s::text[]) AS asked (source, account)"
"""The accounts that a query is about; its arguments are ``sources`` and ``accounts``."""

Remedy = Literal["backfill", "accept", "replay", "look", "acknowledge"]
_TOLD_OTHERWISE = {NO_REJECTS, DATES_INSIDE, HELD}
"""Checks whose days are red for what is rejected or held of them."""
_IN_SHORT = {PLAUSIBLE_VOLUME: "fewer than half of the usual rows"}


@dataclass(frozen=True, slots=True)
class Red:
    """Why a day is red. ``remedy``: ask again, take the held answer, rebuild from what is stored (with
    another version than the one that loaded it), look at what was rejected, or say that it is known.

    ``kinds``: the options that take the held answer, as in ``--accept-shrink``. ``check`` is the one that
    says so, ``records`` how many of the day's are concerned.
    """

    day: date
    why: str
    remedy: Remedy
    receipt_id: int | None = None
    extraction_id: int | None = None
    kinds: tuple[str, ...] = ()
    check: str = ""
    records: int = 0

    @property
    def recorded_in(self) -> str:
        """``receipt 12, extraction 7``."""
        known = (("receipt", self.receipt_id), ("extraction", self.extraction_id))
        return ", ".join(f"{name} {number}" for name, number in known if number is not None)


def read_held_days(connection: Connection, asked: Mapping[str, Any]) -> dict[Key, list[Any]]:
    """Held days of each account, each with the reason, the receipt and the options that take it."""
    rows = connection.execute(
        "SELECT source, account, day, held, receipt_id, coalesce(held_kinds, '{shrink}')"  # noqa: S608
        f" FROM ops.day_state JOIN {ASKED} USING (source, account)"
        " WHERE held IS NOT NULL ORDER BY day",
        asked,
    )
    return _by_account(rows)


def _by_account(rows: Iterable[Any]) -> dict[Key, list[Any]]:
    found: dict[Key, list[Any]] = defaultdict(list)
    for source, account, *rest in rows:
        found[source, account].append(tuple(rest))
    return found


def read_red_days(
    connection: Connection,
    accounts: Sequence[Expected],
    missing: Mapping[Key, Sequence[date]],
    held: Mapping[Key, Sequence[Any]],
    asked: Mapping[str, Any],
) -> dict[Key, list[Red]]:
    """Every reason for which a day of these accounts is red."""
    red: dict[Key, list[Red]] = defaultdict(list)
    unloaded = _asked_in_vain(connection, [one for one in accounts if not one.whole_history])
    for key, gaps in missing.items():
        unloaded[key].update(gaps)
    excused = excused_checks(connection)
    told: set[tuple[Key, date]] = set()
    for key, one in (
        *_red_unloaded(connection, unloaded),
        *_red_loaded(connection, held, asked),
        *_red_rejects(connection, asked),
        *_red_future(connection, asked),
    ):
        told.add((key, one.day))
        if (*key, one.check, one.day) not in excused:
            red[key].append(one)
    for key, one in _red_checks(connection, asked):
        if (key, one.day) not in told and (*key, one.check, one.day) not in excused:
            red[key].append(one)
    return red


def _asked_in_vain(connection: Connection, accounts: Sequence[Expected]) -> dict[Key, set[date]]:
    """Days without a receipt whose window failed, wherever they lie; for want of points is no failure."""
    rows = connection.execute(
        "SELECT DISTINCT e.source, e.account, g.day::date FROM ops.extraction e"
        " JOIN unnest(%s::text[], %s::text[], %s::date[]) AS asked (source, account, until)"
        " USING (source, account),"
        " generate_series(e.first_day, least(e.last_day, asked.until), '1 day') AS g (day)"
        " WHERE e.outcome = 'failed' AND e.failure_kind IS DISTINCT FROM 'QuotaSpent'"
        " AND NOT EXISTS (SELECT FROM ops.day_state s"
        "  WHERE s.source = e.source AND s.account = e.account AND s.day = g.day)",
        (
            [one.source for one in accounts],
            [one.account for one in accounts],
            [one.ended or one.due for one in accounts],
        ),
    )
    found: dict[Key, set[date]] = defaultdict(set)
    for source, account, day in rows:
        found[source, account].add(day)
    return found


def without_place(failure: str) -> str:
    """A failure without where it happened, which is told beside it."""
    return re.sub(r"^[a-z_]+ account \S+ [\d.-]+: ", "", failure)


def _red_unloaded(
    connection: Connection, unloaded: Mapping[Key, Collection[date]]
) -> Iterator[tuple[Key, Red]]:
    """Days without a receipt, each with what its last failed window said."""
    days = [(*key, day) for key, of_account in unloaded.items() for day in of_account]
    if not days:
        return
    rows = connection.execute(
        "SELECT d.source, d.account, d.day, e.extraction_id, e.failure"
        " FROM unnest(%s::text[], %s::text[], %s::date[]) AS d (source, account, day)"
        " LEFT JOIN LATERAL (SELECT f.extraction_id, f.failure FROM ops.extraction f"
        "  WHERE f.source = d.source AND f.account = d.account AND f.outcome = 'failed'"
        "  AND f.last_day >= d.day AND f.first_day <= d.day"
        "  ORDER BY f.extraction_id DESC LIMIT 1) AS e ON true",
        tuple(map(list, zip(*days, strict=True))),
    )
    for source, account, day, extraction_id, failure in rows:
        why = without_place(failure) if failure else "it was never loaded."
        yield (
            (source, account),
            Red(day, f"no receipt: {why}", "backfill", None, extraction_id),
        )


def _red_loaded(
    connection: Connection, held: Mapping[Key, Sequence[Any]], asked: Mapping[str, Any]
) -> Iterator[tuple[Key, Red]]:
    """Days that stand, but not as the vendor would tell them now, or not in full."""
    seen = set()
    for key, days in held.items():
        for day, reason, receipt_id, kinds in days:
            seen.add((*key, day))
            why = f"a newer answer is held: it {reason}."
            yield key, Red(day, why, "accept", receipt_id, kinds=tuple(kinds), check=HELD)
    failed = connection.execute(
        "SELECT DISTINCT ON (d.source, d.account, d.day) d.source, d.account, d.day, d.receipt_id,"  # noqa: S608
        " e.extraction_id, e.failure FROM ops.extraction e"
        f" JOIN {ASKED} USING (source, account)"
        " JOIN ops.day_state d ON d.source = e.source AND d.account = e.account"
        "  AND d.day BETWEEN e.first_day AND e.last_day AND e.extraction_id > d.extraction_id"
        " WHERE e.outcome = 'failed' ORDER BY d.source, d.account, d.day, e.extraction_id DESC",
        asked,
    ).fetchall()
    for source, account, day, receipt_id, extraction_id, failure in failed:
        if (source, account, day) not in seen:
            seen.add((source, account, day))
            why = f"the last attempt failed, the rows before it stand: {without_place(failure)}"
            yield (source, account), Red(day, why, "backfill", receipt_id, extraction_id)
    unequal = connection.execute(
        "SELECT r.source, r.account, r.day, r.receipt_id, r.rows_received, d.rows + r.rows_rejected"  # noqa: S608
        " FROM (SELECT * FROM ops.load_receipt r WHERE r.rows_received"
        # As the index of such receipts has it; a day has the rows of its receipt.
        "  <> r.rows_inserted + r.rows_updated + r.rows_unchanged + r.rows_rejected OFFSET 0) r"
        # There are next to none: their days are looked up one by one, where Postgres would read all.
        " CROSS JOIN LATERAL (SELECT d.rows FROM ops.day_state d WHERE d.source = r.source"
        "  AND d.account = r.account AND d.day = r.day AND d.receipt_id = r.receipt_id OFFSET 0) d"
        f" JOIN {ASKED} USING (source, account)",
        asked,
    )
    for source, account, day, receipt_id, received, told in unequal:
        if (source, account, day) not in seen:
            why = f"{received} records received, {told} loaded or rejected."
            yield (source, account), Red(day, why, "backfill", receipt_id)


def _red_future(connection: Connection, asked: Mapping[str, Any]) -> Iterator[tuple[Key, Red]]:
    """Days whose answers are dated later than now: whether they are settled is anybody's guess."""
    rows = connection.execute(
        "SELECT source, account, day, receipt_id, observed_at FROM ops.day_state"  # noqa: S608
        f" JOIN {ASKED} USING (source, account) WHERE observed_at > %(latest)s",
        {**asked, "latest": clock.now() + clock.CLOCKS_MAY_DIFFER},
    )
    for source, account, day, receipt_id, observed_at in rows:
        why = f"its answer is dated {observed_at:%Y-%m-%d %H:%M} UTC, in the future: a clock was ahead."
        yield (source, account), Red(day, why, "backfill", receipt_id)


def _red_rejects(connection: Connection, asked: Mapping[str, Any]) -> Iterator[tuple[Key, Red]]:
    rows = connection.execute(
        "SELECT j.source, j.account, j.day, s.receipt_id, j.reasons, j.records,"  # noqa: S608
        " r.code_version <> %(version)s FROM (SELECT source, account, day, string_agg(DISTINCT"
        "  reason, ', ' ORDER BY reason) AS reasons, sum(times_in_window)::bigint AS records"
        f"  FROM ops.rejected_record JOIN {ASKED} USING (source, account)"
        "  WHERE resolved_at IS NULL AND day IS NOT NULL GROUP BY source, account, day) j"
        " LEFT JOIN ops.day_state s USING (source, account, day)"
        " LEFT JOIN ops.load_receipt r USING (receipt_id)",
        {**asked, "version": CODE_VERSION},
    )
    for source, account, day, receipt_id, reasons, records, by_another in rows:
        remedy: Remedy = "replay" if by_another else "look"
        why = f"rejected: {reasons}."
        red = Red(day, why, remedy, receipt_id, check=NO_REJECTS, records=records)
        yield (source, account), red


def _red_checks(connection: Connection, asked: Mapping[str, Any]) -> Iterator[tuple[Key, Red]]:
    """Days of which a check does not pass that says what nothing else does."""
    keys = set(zip(asked["sources"], asked["accounts"], strict=True))
    for one in failing_checks(connection):
        key = one.source, one.account
        if key not in keys or one.check_name in _TOLD_OTHERWISE:
            continue
        said = _IN_SHORT.get(one.check_name) or ", ".join(one.causes).replace("_", " ") or one.said
        remedy: Remedy = "acknowledge" if one.check_name == KNOWN_VALUES else "backfill"
        why = f"check {one.check_name}: {said}."
        yield key, Red(one.day, why, remedy, check=one.check_name)
