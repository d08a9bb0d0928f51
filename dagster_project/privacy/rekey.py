"""Rekey: recompute everything that depends on ``PII_HASH_KEY`` with a new key.

Grain: one account and day, one transaction, which also marks the day as done: a killed rekey continues with
the days that are left. Meanwhile loads are refused, and readers see both old and new pseudonyms. The
warehouse's key changes in the last transaction.

The pseudonyms of recipients and templates are recomputed from number and text. Reduced rows have neither.
They get the new pseudonym of an unreduced row with the same old one, else a keyed hash of the old one. So a
person whose rows are all reduced keeps one pseudonym, but gets another one when a new SMS comes. The same
holds for a template that only reduced rows have, and for the label that a user gave it. The suppression list
has a key of its own, which is sealed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from psycopg import sql

from dagster_project.errors import SettingsError, TryLater
from dagster_project.model.privacy import ERASED, Values
from dagster_project.model.window import Account, Window
from dagster_project.privacy import suppression
from dagster_project.privacy.personal_data import PersonalDataScope
from dagster_project.text.pseudonyms import fingerprint, pseudonym, sub_key
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.rewrite import rewrite_day
from dagster_project.warehouse.queries import fetch_value

Known = dict[tuple[str, UUID], UUID]


@dataclass(frozen=True)
class Keys:
    """The old and the new ``PII_HASH_KEY``."""

    old: str
    new: str


def rekey(
    warehouse: Warehouse,
    keys: Keys,
    scopes: Sequence[PersonalDataScope],
    before: Sequence[PersonalDataScope],
    report: Report = lambda line: None,
) -> int:
    """Recompute all pseudonyms; return how many days were recomputed.

    ``scopes`` are made with the new key, ``before`` with the old one.

    Raises:
        SettingsError: another rekey is under way, or the old key is not the warehouse's.
    """
    with (
        warehouse.connect(what="rekey", autocommit=True) as books,
        warehouse.connect(what="rekey") as connection,
    ):
        if not _begin(books, keys):
            return 0
        suppression.wait_for_earlier_loads(books, suppression.new_epoch(books), report)
        for part, old_part in zip(scopes, before, strict=True):
            _seed(books, part, old_part)
        days = _days_left(books, scopes)
        for number, (part, account, day) in enumerate(days, start=1):
            _rekey_day(connection, part, account, day, keys)
            if number % 50 == 0 or number == len(days):
                report(f"{number} of {pluralize(len(days), 'day')}")
        _switch_key(connection, keys)
    return len(days)


@contextmanager
def refuse_second_rekey(warehouse: Warehouse) -> Iterator[None]:
    """Let no other rekey of this warehouse begin inside the block: each could make a key of its own.

    Raises:
        TryLater: another one is under way.
    """
    with warehouse.connect(what="rekey", autocommit=True) as connection:
        if not fetch_value(connection, "SELECT pg_try_advisory_lock(hashtextextended('rekey', 0))"):
            raise TryLater(
                "another rekey of this warehouse is under way.", hint="run it again after that one."
            )
        yield


def _begin(connection: Connection, keys: Keys) -> bool:
    """Refuse loads from now on; return False if the new key is already the warehouse's."""
    old, new = fingerprint(keys.old), fingerprint(keys.new)
    row = connection.execute("SELECT fingerprint, next_fingerprint FROM ops.pii_key").fetchone()
    if row is None:
        connection.execute("INSERT INTO ops.pii_key (fingerprint) VALUES (%s)", (old,))
        row = (old, None)
    if row[0] == new:
        return False
    if row[0] != old:
        raise SettingsError(
            "PII_HASH_KEY is not the key that this warehouse was loaded with.",
            hint="set PII_HASH_KEY to the key of before, PII_HASH_KEY_NEW to the new one.",
        )
    if row[1] not in (None, new):
        raise SettingsError(
            "a rekey with another new key is under way.", hint="finish it with that key."
        )
    connection.execute("UPDATE ops.pii_key SET next_fingerprint = %s", (new,))
    note_act(connection, "rekey")
    return True


def _seed(connection: Connection, part: PersonalDataScope, old_part: PersonalDataScope) -> None:
    """Write the new pseudonym that all erased people share beforehand: their rows may all be reduced."""
    columns = part.personal.columns
    erased = dict.fromkeys((columns.phone, columns.texts[0]), ERASED)
    old = old_part.personal.rekey_row(erased, old_part.keys)[columns.person]
    new = part.personal.rekey_row(erased, part.keys)[columns.person]
    _write_known(connection, {("recipient", old): new})


def _days_left(
    connection: Connection, scopes: Sequence[PersonalDataScope]
) -> list[tuple[PersonalDataScope, Account, date]]:
    """The days not done yet; days with numbers and texts come first, since reduced rows depend on them."""
    found: list[tuple[bool, PersonalDataScope, Account, date]] = []
    for part in scopes:
        rows = connection.execute(
            "SELECT s.account, s.day, s.reduced_at IS NOT NULL FROM ops.day_state s"
            " WHERE s.source = %s AND NOT EXISTS (SELECT FROM ops.rekeyed_day r"
            "  WHERE r.source = s.source AND r.account = s.account AND r.day = s.day)"
            " ORDER BY s.day DESC, s.account",
            (part.source,),
        ).fetchall()
        found += [(reduced, part, part.account_of(label), day) for label, day, reduced in rows]
    found.sort(key=lambda one: one[0])
    return [(part, account, day) for _, part, account, day in found]


def _rekey_day(
    connection: Connection, part: PersonalDataScope, account: Account, day: date, keys: Keys
) -> None:
    known = _known_of_day(connection, part, account, day)
    fallback = sub_key(keys.new, "rekeyed")
    learned: Known = {}

    def change(values: Values) -> Values | None:
        anew = part.personal.rekey_row(values, part.keys)
        changed: dict[str, Any] = dict(values)
        for column, kind in part.personal.columns.pseudonyms.items():
            old = values[column]
            if old is None:
                continue
            new = anew.get(column) or known.get((kind, old))
            if new is None:
                new = UUID(bytes=pseudonym(fallback, old.bytes))
            learned[kind, old] = new
            changed[column] = new
        return changed

    rewrite_day(connection, part.table, account, day, change)
    _write_known(connection, {pair: new for pair, new in learned.items() if pair not in known})
    connection.execute(
        "INSERT INTO ops.rekeyed_day (source, account, day) VALUES (%s, %s, %s)",
        (account.source, account.label, day),
    )
    connection.commit()


def _known_of_day(
    connection: Connection, part: PersonalDataScope, account: Account, day: date
) -> Known:
    rows = connection.execute(
        sql.SQL(
            "SELECT kind, old, new FROM ops.rekeyed_pseudonym WHERE kind = 'template' UNION ALL"
            " SELECT kind, old, new FROM ops.rekeyed_pseudonym WHERE kind = 'recipient' AND old IN"
            " (SELECT {person} FROM warehouse.{table} WHERE {window_condition})"
        ).format(
            **part.identifiers(),
            window_condition=window_condition(part.table, Window(day, day, account)),
        )
    ).fetchall()
    return {(kind, old): new for kind, old, new in rows}


def _write_known(connection: Connection, known: Known) -> None:
    if not known:
        return
    kinds, olds = zip(*known, strict=True)
    connection.execute(
        "INSERT INTO ops.rekeyed_pseudonym (kind, old, new)"
        " SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) ON CONFLICT DO NOTHING",
        (list(kinds), list(olds), list(known.values())),
    )


def _switch_key(connection: Connection, keys: Keys) -> None:
    """Rekey the marts and make the new key the warehouse's, in one transaction."""
    connection.execute("SELECT mart.rekey_templates()")
    master = suppression.master_key(connection, keys.old)
    connection.execute(
        "UPDATE ops.privacy SET sealed_key = %s", (suppression.seal(master, keys.new),)
    )
    connection.execute("DELETE FROM ops.rekeyed_pseudonym")
    connection.execute("DELETE FROM ops.rekeyed_day")
    connection.execute(
        "UPDATE ops.pii_key SET fingerprint = %s, next_fingerprint = NULL, since = now()",
        (fingerprint(keys.new),),
    )
    suppression.new_epoch(connection)
    connection.commit()
