"""What an account owes its days to: since when it is loaded, what a person asked for, what failed.

Grain: an account; several are read in one query. A *debt* is a day without a good receipt that somebody is entitled to: it ended
since the account is loaded, or lies in a range that a person asked for, or was asked of the vendor
and failed. Days that nobody ever asked for are no debt, however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from dagster_project import clock
from dagster_project.model.window import ONE_DAY, Account, each_day
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value


def request_backfill(connection: Connection, account: Account, first: date, last: date) -> int:
    """Note that a person asked for these days; the same request again is the same row."""
    return int(
        fetch_value(
            connection,
            "WITH known AS (SELECT wanted_id FROM ops.wanted_range WHERE source = %(source)s"
            "  AND account = %(account)s AND first_day = %(first)s AND last_day = %(last)s"
            "  AND withdrawn_at IS NULL),"
            " made AS (INSERT INTO ops.wanted_range (source, account, first_day, last_day, asked_at)"
            "  SELECT %(source)s, %(account)s, %(first)s, %(last)s, %(now)s"
            "  WHERE NOT EXISTS (SELECT FROM known) RETURNING wanted_id)"
            " SELECT wanted_id FROM known UNION ALL SELECT wanted_id FROM made",
            {
                "source": account.source,
                "account": account.label,
                "first": first,
                "last": last,
                "now": clock.now(),
            },
        )
    )


def withdraw(connection: Connection, account: Account, first: date, last: date) -> int:
    """Withdraw every request within these days; return how many."""
    return connection.execute(
        "UPDATE ops.wanted_range SET withdrawn_at = %s WHERE source = %s AND account = %s"
        " AND first_day >= %s AND last_day <= %s AND withdrawn_at IS NULL",
        (clock.now(), account.source, account.label, first, last),
    ).rowcount


def requested_backfills(
    connection: Connection, source: str, accounts: Sequence[str]
) -> Mapping[str, list[tuple[date, date]]]:
    """By account, the ranges of days that a person asked for and did not withdraw, oldest request first."""
    return _ranges_by_account(
        connection.execute(
            "SELECT account, first_day, last_day FROM ops.wanted_range WHERE source = %s"
            " AND account = ANY(%s) AND withdrawn_at IS NULL ORDER BY wanted_id",
            (source, list(accounts)),
        )
    )


def count_requested_left(
    connection: Connection, source: str, until: Mapping[str, date]
) -> dict[str, int]:
    """Days until a day of each account that a person asked for and that have no receipt yet."""
    rows = connection.execute(
        "SELECT account, count(DISTINCT g.day) FROM ops.wanted_range"
        " JOIN unnest(%s::text[], %s::date[]) AS asked (account, until) USING (account),"
        " generate_series(first_day, least(last_day, until), '1 day') AS g (day)"
        " WHERE source = %s AND withdrawn_at IS NULL AND NOT EXISTS (SELECT FROM ops.day_state s"
        "  WHERE s.source = wanted_range.source AND s.account = wanted_range.account"
        "  AND s.day = g.day) GROUP BY account",
        (list(until), list(until.values()), source),
    )
    return dict(rows.fetchall())


def first_days(connection: Connection, accounts: Sequence[Account]) -> dict[Account, date]:
    """The first day that is owed without a request: the day before the account's first load, if it has one."""
    rows = connection.execute(
        "SELECT source, account, first_observed_at FROM ops.account_start"
        " JOIN unnest(%s::text[], %s::text[]) AS asked (source, account) USING (source, account)",
        ([one.source for one in accounts], [one.label for one in accounts]),
    )
    first: dict[tuple[str, str], datetime] = {(row[0], row[1]): row[2] for row in rows}
    return {
        one: first[one.source, one.label].astimezone(one.time_zone).date() - ONE_DAY
        for one in accounts
        if (one.source, one.label) in first
    }


def failed_ranges(
    connection: Connection, source: str, accounts: Sequence[str]
) -> Mapping[str, list[tuple[date, date]]]:
    """By account, the windows whose extraction failed, other than for lack of points."""
    return _ranges_by_account(
        connection.execute(
            "SELECT DISTINCT account, first_day, last_day FROM ops.extraction WHERE source = %s"
            " AND account = ANY(%s) AND outcome = 'failed'"
            " AND failure_kind IS DISTINCT FROM 'QuotaSpent'",
            (source, list(accounts)),
        )
    )


def _ranges_by_account(
    rows: Iterable[tuple[str, date, date]],
) -> Mapping[str, list[tuple[date, date]]]:
    found: dict[str, list[tuple[date, date]]] = defaultdict(list)
    for account, first, last in rows:
        found[account].append((first, last))
    return found


def days_within(ranges: Iterable[tuple[date, date]], first: date, last: date) -> set[date]:
    """The days of these ranges from ``first`` to ``last``."""
    return {day for begin, end in ranges for day in each_day(max(begin, first), min(end, last))}
