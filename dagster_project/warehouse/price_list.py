"""The user's price list of SMS: checked line by line, replaced as a whole.

A line holds for a vendor, for one account or all, for one country or all, from a day to a day, both included. No
two lines may hold for the same on one day; of several that fit, the most particular one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value

PRICE_COLUMNS = ("vendor", "account", "country", "per", "price", "from", "to", "currency")
PER = ("segment", "message")
COUNTRIES = ("unknown", "none")
"""What ``bi.sms_day`` has besides codes of countries."""
MOST = Decimal(1_000_000)
DECIMALS = 6

Accounts = Collection[tuple[str | None, str | None]]


@dataclass(frozen=True)
class Line:
    """A line of a file: where it stands, as ``prices.csv, line 3``, and its fields; empty ones are None."""

    place: str
    fields: dict[str, str | None]


@dataclass(frozen=True)
class _Price:
    place: str
    vendor: str
    account: str | None
    country: str | None
    per: str
    price: Decimal
    first: date
    last: date | None
    currency: str

    @property
    def scope(self) -> tuple[str, str | None, str | None]:
        return self.vendor, self.account, self.country

    @property
    def until(self) -> date:
        return self.last or date.max


def known_accounts(connection: Connection) -> Accounts:
    """Every account that was ever loaded, as vendor and account."""
    return [(row[0], row[1]) for row in connection.execute("SELECT * FROM mart.known_accounts()")]


def unknown_account(line: Line, known: Accounts) -> SettingsError:
    """Says which account is unknown, and which are known."""
    named = f"{line.fields['vendor']} {line.fields['account'] or '(none)'}"
    return SettingsError(
        f"{line.place}: there is no account {named}.",
        hint=f"known are {', '.join(f'{vendor} {account}' for vendor, account in known) or 'none'}.",
    )


def replace_prices(connection: Connection, lines: Sequence[Line]) -> int:
    """Make the price list this one; answers how many lines went or came.

    Raises:
        SettingsError: a line cannot be taken, or two contradict each other; nothing was changed.
    """
    known = known_accounts(connection)
    prices = [_price(line, known) for line in lines]
    _refuse_overlap(prices)
    columns: list[list[Any]] = [
        [getattr(price, name) for price in prices]
        for name in ("vendor", "account", "country", "per", "price", "first", "last", "currency")
    ]
    return int(
        fetch_value(
            connection,
            "SELECT mart.replace_prices(%s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[],"
            " %s::date[], %s::date[], %s::text[])",
            columns,
        )
    )


def _price(line: Line, known: Accounts) -> _Price:
    fields = line.fields
    vendor, account, country = fields["vendor"] or "", fields["account"], fields["country"]
    if vendor not in {of for of, _ in known} or (account and (vendor, account) not in known):
        raise unknown_account(line, known)
    if country and country not in COUNTRIES and not _is_code(country, 2):
        raise _refuse(line, "country", "two capital letters, unknown, none, or empty for all")
    if fields["per"] not in PER:
        raise _refuse(line, "per", " or ".join(PER))
    if not _is_code(fields["currency"] or "", 3):
        raise _refuse(line, "currency", "three capital letters, as EUR")
    first = _day(line, "from")
    if first is None:
        raise _refuse(line, "from", "a day, as 2026-01-31")
    last = _day(line, "to")
    if last is not None and last < first:
        raise _refuse(line, "to", "a day that is not before from, or empty for no end")
    return _Price(
        line.place, vendor, account, country, fields["per"] or "", _amount(line), first, last,
        fields["currency"] or "",
    )  # fmt: skip


def _is_code(text: str, length: int) -> bool:
    return len(text) == length and text.isascii() and text.isalpha() and text.isupper()


def _amount(line: Line) -> Decimal:
    try:
        amount = Decimal(line.fields["price"] or "")
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount < MOST and amount == round(amount, DECIMALS)):
        raise _refuse(line, "price", f"a number with a point, of at most {DECIMALS} decimals")
    return amount


def _day(line: Line, column: str) -> date | None:
    text = line.fields[column]
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise _refuse(line, column, "a day, as 2026-01-31") from None


def _refuse(line: Line, column: str, wanted: str) -> SettingsError:
    return SettingsError(
        f"{line.place}: {column} is {line.fields[column] or 'empty'!r}.", hint=f"it is {wanted}."
    )


def _refuse_overlap(prices: Sequence[_Price]) -> None:
    ordered = sorted(prices, key=lambda price: (str(price.scope), price.first))
    for before, after in pairwise(ordered):
        if before.scope == after.scope and after.first <= before.until:
            raise SettingsError(
                f"{after.place}: it holds for the same days as {before.place}.",
                hint="end one before the other begins.",
            )
