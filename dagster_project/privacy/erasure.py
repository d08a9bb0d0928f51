"""Erasing people: their numbers taken out of responses, rejects and rows, and kept out from then on.

First the numbers are added to the suppression list, and a new epoch begins: loads that begin from now on keep
them out. When the earlier loads have ended, everything stored is searched. Each step is small and has a
transaction of its own, and a repeated step changes nothing. So an erasure that was stopped is finished by the
next one with the same numbers, typed again or taken from the list (``reapplication.py``); until then its
receipt stays open. In the transaction that rewrites a day's rows, the day is also queued for its marts to be
counted again; the receipt is closed once they are.

No number is part of a statement: rows are found by pseudonyms, and by texts in which the last digits occur.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from psycopg import sql

from dagster_project.model.privacy import Identity, Rules, Suppression, Values
from dagster_project.privacy import suppression
from dagster_project.privacy.erasure_receipts import Erased, close_receipts, open_receipt
from dagster_project.privacy.personal_data import PersonalDataScope
from dagster_project.privacy.search_patterns import text_pattern
from dagster_project.privacy.stored_responses import rewrite_response, stored_records
from dagster_project.warehouse import marts, restored
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.ledger.rejects import redact_rejects
from dagster_project.warehouse.load.rewrite import rewrite_day

PHONES_AT_ONCE = 10_000


@dataclass(frozen=True)
class Locations:
    """Where people are: the pseudonyms that they have, and accounts and days whose rows hold them."""

    gone: frozenset[bytes]
    days: Sequence[tuple[str, date]]


Find = Callable[[Connection, PersonalDataScope], Locations]


def forget(
    warehouse: Warehouse,
    secret: str,
    identities: Sequence[Identity],
    scopes: Sequence[PersonalDataScope],
    mask: marts.Mask,
    report: Report = lambda line: None,
) -> Erased:
    """Erase these people, and keep them out from now on; the marts are counted afresh with ``mask``."""

    def find(connection: Connection, part: PersonalDataScope) -> Locations:
        return _locate(connection, part, identities, rules.suppression)

    with (
        warehouse.connect(what="forget", autocommit=True) as books,
        warehouse.connect(what="forget") as connection,
    ):
        epoch = suppression.begin_change(connection)
        is_closed = restored.close_restored(connection, warehouse.seen_erasures)
        done, rules = _suppress(connection, secret, identities, scopes)
        suppression.count_erasure(connection)
        connection.commit()
        if not is_closed:
            restored.note_seen(connection, warehouse.seen_erasures)
        connection.commit()
        suppression.wait_for_earlier_loads(books, epoch, report)
        done = erase_everywhere(books, connection, rules, scopes, find, done, report)
        marts.refresh_stale(books, mask)
        close_receipts(books, done, [rules.suppression.hash_of(one.number) for one in identities])
    return done


def preview(
    warehouse: Warehouse,
    secret: str,
    identities: Sequence[Identity],
    scopes: Sequence[PersonalDataScope],
    report: Report = lambda line: None,
) -> Erased:
    """What ``forget`` would rewrite today. Nothing stays of it: what is tried is rolled back."""
    with warehouse.connect(what="forget") as connection:
        suppression.refuse_while_rekeying(connection)
        done, rules = _suppress(connection, secret, identities, scopes)
        suppressed = rules.suppression
        for part in scopes:
            report(f"{part.source}: stored responses, rejected records and rows …")
            found = _locate(connection, part, identities, suppressed)
            with connection.transaction(force_rollback=True):
                responses = _responses(connection, part, suppressed)
                rejects = redact_rejects(connection, part.source, part.reject_redactor(suppressed))
            done = replace(
                done, responses=done.responses + responses, rejects=done.rejects + rejects
            )
            for label, day in found.days:
                with connection.transaction(force_rollback=True):
                    rows = _erase_day(connection, part, rules, found.gone, label, day)
                done = done.with_day(label, day, rows)
        connection.rollback()
    return done


def _suppress(
    connection: Connection,
    secret: str,
    identities: Sequence[Identity],
    scopes: Sequence[PersonalDataScope],
) -> tuple[Erased, Rules]:
    """Open a receipt and put the numbers on the list; the rules that keep them out from then on."""
    receipt = open_receipt(connection, len(identities), secret, "forget")
    suppressed = suppression.suppress(connection, identities, secret, receipt)
    for part in scopes:
        suppression.remember_recipients(
            connection,
            suppressed,
            {one.number: part.personal.pseudonyms_of(one, part.keys) for one in identities},
        )
    master = suppression.master_key(connection, secret)
    rules = Rules(suppressed, date.min, suppression.reduction_key(master))
    return Erased(receipt, len(identities)), rules


def _locate(
    connection: Connection,
    part: PersonalDataScope,
    identities: Sequence[Identity],
    suppressed: Suppression,
) -> Locations:
    gone = pseudonyms_in_rows(connection, part, identities, suppressed)
    return Locations(gone, _days_with(connection, part, gone, identities))


def erase_everywhere(
    books: Connection,
    connection: Connection,
    rules: Rules,
    scopes: Sequence[PersonalDataScope],
    find: Find,
    done: Erased,
    report: Report,
) -> Erased:
    """Take the suppressed numbers out of all that is stored; no load of an earlier epoch may be left.

    ``books`` is in autocommit; rows are rewritten in transactions of ``connection``.
    """
    for part in scopes:
        report(f"{part.source}: stored responses …")
        responses = _responses(books, part, rules.suppression)
        done = replace(done, responses=done.responses + responses)
        report(f"{part.source}: rejected records …")
        rejects = redact_rejects(books, part.source, part.reject_redactor(rules.suppression))
        done = replace(done, rejects=done.rejects + rejects)
        report(f"{part.source}: rows …")
        done = _rows(connection, part, rules, find(connection, part), done)
    return done


def _responses(connection: Connection, part: PersonalDataScope, suppressed: Suppression) -> int:
    """Rewrite stored responses that hold a number; one at a time, each committed."""
    changed = 0
    for place in stored_records(connection, part.source):
        changed += rewrite_response(
            connection, place, lambda body: part.personal.redact_body(body, suppressed)
        )
    return changed


def _rows(
    connection: Connection, part: PersonalDataScope, rules: Rules, found: Locations, done: Erased
) -> Erased:
    """Rewrite rows day by day, each committed together with the note to count its marts afresh."""
    connection.commit()
    for label, day in found.days:
        rows = _erase_day(connection, part, rules, found.gone, label, day)
        if rows:
            marts.recount_rewritten_sms(connection, part.account_of(label), day, found.gone)
        connection.commit()
        done = done.with_day(label, day, rows)
    return done


def _erase_day(
    connection: Connection,
    part: PersonalDataScope,
    rules: Rules,
    gone: frozenset[bytes],
    label: str,
    day: date,
) -> int:
    """How many rows of the day were rewritten."""
    account = part.account_of(label)

    def change(values: Values) -> Values | None:
        return part.personal.erase_row(values, account, part.keys, rules, gone)

    return rewrite_day(connection, part.table, account, day, change)


def pseudonyms_in_rows(
    connection: Connection,
    part: PersonalDataScope,
    identities: Sequence[Identity],
    suppressed: Suppression,
) -> frozenset[bytes]:
    """By what recipients the numbers are known, also of phone fields in another form than eleven digits."""
    known = (part.personal.pseudonyms_of(one, part.keys) for one in identities)
    found: set[bytes] = set().union(*known)
    with connection.cursor(name="odd_phones") as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT DISTINCT {phone}, {person} FROM warehouse.{table} WHERE {phone} !~"
                " '^[0-9]{{11}}$' AND {phone} ~ %s AND {person} IS NOT NULL"
            ).format(**part.identifiers()),
            (text_pattern(identities),),
        )
        while rows := cursor.fetchmany(PHONES_AT_ONCE):
            own = part.personal.own_phones([phone for phone, _ in rows], suppressed)
            found.update(recipient.bytes for phone, recipient in rows if phone in own)
    return frozenset(found)


def _days_with(
    connection: Connection,
    part: PersonalDataScope,
    gone: frozenset[bytes],
    identities: Sequence[Identity],
) -> list[tuple[str, date]]:
    """Accounts and days with rows of these recipients, or texts that may hold their numbers."""
    pattern = text_pattern(identities)
    return connection.execute(
        sql.SQL(
            "SELECT DISTINCT {account}::text, {day} FROM warehouse.{table}"
            " WHERE {person} = ANY(%s::uuid[]) OR {in_texts} ORDER BY 1, 2"
        ).format(**part.identifiers()),
        ([recipient.hex() for recipient in gone], *([pattern] * len(part.texts))),
    ).fetchall()
