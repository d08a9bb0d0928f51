"""An account taken out of the warehouse for good: rows, stored responses, ledger, marts.

First a new epoch begins, and loads that are under way are waited for, as an erasure does. Then, in this order:
all that ``bi`` shows, in one transaction; rows, a day a transaction under the lock of its loads, together with
what the ledger says of the day; stored responses in small portions; what is counted over all accounts, afresh;
what is left in the ledger. So readers see all of the account or nothing, and a removal that was killed is finished by the same command: until the last
transaction the ledger knows the account.

The suppression list is not of accounts, and stays. Who did it is noted before anything is removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psycopg import sql

from dagster_project.errors import SettingsError, TryLater
from dagster_project.model.table import Table
from dagster_project.model.window import Account
from dagster_project.privacy import suppression
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.ledger.prune import delete_responses
from dagster_project.warehouse.load.conditions import account_condition
from dagster_project.warehouse.load.day_locks import lock_days
from dagster_project.warehouse.marts import Mask
from dagster_project.warehouse.queries import fetch_value

VERB = "remove-account"
RESPONSES = "raw.response"
DAYS_TOLD = 50
_OF_A_DAY = ("ops.day_state", "ops.load_receipt", "ops.rejected_record")


@dataclass(frozen=True)
class AccountData:
    """An account, and where its data is. ``lock_whole``: its loads lock all of its days at once."""

    account: Account
    vendor: str
    table: Table
    lock_whole: bool

    @property
    def of_account(self) -> sql.Composable:
        return account_condition(self.table, self.account.label)

    @property
    def names(self) -> tuple[str, str]:
        return self.account.source, self.account.label


def count_account(warehouse: Warehouse, data: AccountData) -> Counter[str]:
    """How many rows of which table are the account's; nothing is changed."""
    with warehouse.connect(what=VERB) as connection:
        return _count(connection, data)


def remove_account(
    warehouse: Warehouse, data: AccountData, mask: Mask, report: Report = lambda line: None
) -> Counter[str]:
    """Remove the account; answers how many rows of which table went.

    ``mask`` is the one of the loads: what is counted over all accounts is counted afresh with it.

    Raises:
        SettingsError: nothing is known of the account, or a rekey is under way.
        TryLater: it was loaded meanwhile, and so is there again.
    """
    with (
        warehouse.connect(what=VERB, autocommit=True) as books,
        warehouse.connect(what=VERB) as connection,
    ):
        if not _count(books, data):
            raise _unknown(books, data)
        with books.transaction():
            note_act(books, VERB, " ".join(data.names))
            epoch = suppression.begin_change(books)
        suppression.wait_for_earlier_loads(books, epoch, report)
        report("what bi shows of it …")
        removed = _call_marts(books, data, only_count=False)
        removed += _remove_days(connection, data, report)
        report("stored responses …")
        removed[RESPONSES] = delete_responses(books, _extractions(books, data))
        report("what is counted over all accounts …")
        marts.refresh_stale(books, mask)
        report("what is left in the ledger …")
        removed += _call_ledger(books, data, only_count=False)
        if _count(books, data):
            raise _loaded_again(data)
    return +removed


def _count(connection: Connection, data: AccountData) -> Counter[str]:
    counts = Counter({f"warehouse.{data.table.name}": _count_rows(connection, data)})
    counts[RESPONSES] = _count_responses(connection, data)
    counts += _call_ledger(connection, data, only_count=True)
    counts += _call_marts(connection, data, only_count=True)
    return +counts


def _count_rows(connection: Connection, data: AccountData) -> int:
    query = sql.SQL("SELECT count(*) FROM warehouse.{} WHERE {}").format(
        sql.Identifier(data.table.name), data.of_account
    )
    return int(fetch_value(connection, query))


def _count_responses(connection: Connection, data: AccountData) -> int:
    query = sql.SQL(
        "SELECT count(*) FROM raw.response JOIN ops.extraction USING (extraction_id)"
        " WHERE source = {} AND account = {}"
    ).format(*map(sql.Literal, data.names))
    return int(fetch_value(connection, query))


def _call_marts(connection: Connection, data: AccountData, *, only_count: bool) -> Counter[str]:
    rows = connection.execute(
        "SELECT * FROM mart.remove_account(%s, %s, %s, %s)", (data.vendor, *data.names, only_count)
    )
    return Counter(dict(rows.fetchall()))


def _call_ledger(connection: Connection, data: AccountData, *, only_count: bool) -> Counter[str]:
    rows = connection.execute(
        "SELECT * FROM ops.remove_account(%s, %s, %s)", (*data.names, only_count)
    )
    return Counter(dict(rows.fetchall()))


def _remove_days(connection: Connection, data: AccountData, report: Report) -> Counter[str]:
    """Rows and what the ledger says of them, the newest day first."""
    removed: Counter[str] = Counter()
    days = _days(connection, data)
    connection.commit()
    for number, day in enumerate(days, start=1):
        removed += _remove_day(connection, data, day)
        connection.commit()
        if number % DAYS_TOLD == 0 or number == len(days):
            report(f"rows: {number} of {pluralize(len(days), 'day')}")
    return removed


def _days(connection: Connection, data: AccountData) -> list[date]:
    query = sql.SQL(
        "SELECT {day} FROM warehouse.{table} WHERE {of_account}"
        " UNION SELECT day FROM ops.day_state WHERE source = {source} AND account = {label}"
        " ORDER BY 1 DESC"
    ).format(
        day=sql.Identifier(data.table.day_column),
        table=sql.Identifier(data.table.name),
        of_account=data.of_account,
        source=sql.Literal(data.account.source),
        label=sql.Literal(data.account.label),
    )
    return [row[0] for row in connection.execute(query).fetchall()]


def _remove_day(connection: Connection, data: AccountData, day: date) -> Counter[str]:
    lock_days(connection, *data.names, [date.min if data.lock_whole else day])
    rows = sql.SQL("DELETE FROM warehouse.{} WHERE {} = {} AND {}").format(
        sql.Identifier(data.table.name),
        sql.Identifier(data.table.day_column),
        sql.Literal(day),
        data.of_account,
    )
    removed = Counter({f"warehouse.{data.table.name}": connection.execute(rows).rowcount})
    for table in _OF_A_DAY:
        of_day = sql.SQL("DELETE FROM {} WHERE source = %s AND account = %s AND day = %s").format(
            sql.Identifier(*table.split("."))
        )
        removed[table] += connection.execute(of_day, (*data.names, day)).rowcount
    return removed


def _extractions(connection: Connection, data: AccountData) -> Sequence[int]:
    rows = connection.execute(
        "SELECT extraction_id FROM ops.extraction WHERE source = %s AND account = %s"
        " ORDER BY extraction_id",
        data.names,
    )
    return [row[0] for row in rows.fetchall()]


def _loaded_again(data: AccountData) -> TryLater:
    return TryLater(
        "it was removed, and meanwhile loaded again.",
        source=data.account.source,
        account=data.account.label,
        hint="some host has it in its settings still: take it out there, end its runs, and run this again.",
    )


def _unknown(connection: Connection, data: AccountData) -> SettingsError:
    rows = connection.execute(
        "SELECT DISTINCT account FROM ops.account_start WHERE source = %s ORDER BY account",
        (data.account.source,),
    )
    known = ", ".join(row[0] for row in rows.fetchall())
    return SettingsError(
        "nothing is known of this account.",
        source=data.account.source,
        account=data.account.label,
        hint=f"accounts that were loaded: {known or 'none'}.",
    )
