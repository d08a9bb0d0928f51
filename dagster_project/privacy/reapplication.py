"""Apply the suppression list to all stored data: after a restore, or to finish a stopped erasure.

The list has keyed hashes, no numbers. For each row the hash of its phone is looked up; for a reduced row,
which has no phone, the hash of its pseudonym. Texts are searched like those of incoming responses. If a
person has rows of both kinds, the reduced ones are found too, even if the list does not have the pseudonym.
What is found is erased by the functions of ``erasure.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from psycopg import sql

from dagster_project.model.privacy import ERASED, REDUCED, Rules, Suppression
from dagster_project.model.window import Window
from dagster_project.privacy import suppression
from dagster_project.privacy.erasure import Locations, erase_everywhere
from dagster_project.privacy.erasure_receipts import Erased, close_receipts, open_receipt
from dagster_project.privacy.personal_data import PersonalDataScope
from dagster_project.privacy.search_patterns import any_number
from dagster_project.privacy.suppression_file import import_list
from dagster_project.text.pseudonyms import fingerprint
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import marts, restored
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.load.conditions import window_condition

TEXTS_AT_ONCE = 10_000


def forget_again(
    warehouse: Warehouse,
    secret: str,
    scopes: Sequence[PersonalDataScope],
    mask: marts.Mask,
    report: Report = lambda line: None,
    exported: str | None = None,
) -> Erased:
    """Erase everybody on the list from all stored data; first add the list in ``exported``, a file's text.

    Afterwards loads and readers are let in, unless the file is older than an erasure that this home has seen.

    Raises:
        SettingsError: ``exported`` is another warehouse's, or damaged; or a rekey is under way.
    """

    def find(reading: Connection, part: PersonalDataScope) -> Locations:
        return _locate(reading, part, suppressed, recipients)

    with (
        warehouse.connect(what="forget", autocommit=True) as books,
        warehouse.connect(what="forget") as connection,
    ):
        epoch = suppression.begin_change(connection)
        restored.close_restored(connection, warehouse.seen_erasures)
        verb = "forget --again" if exported is None else "forget --import"
        erasure_id = open_receipt(connection, 0, secret, verb)
        if exported is not None:
            new = import_list(connection, exported, secret, erasure_id)
            report(f"new on the list, from the file: {pluralize(new, 'number')}")
        master = suppression.master_key(connection, secret)
        suppressed = suppression.stored_list(connection, master)
        recipients = suppression.suppressed_recipients(connection, suppressed)
        done = Erased(erasure_id, len(suppressed.numbers))
        connection.commit()
        if suppressed:
            rules = Rules(suppressed, date.min, suppression.reduction_key(master))
            suppression.wait_for_earlier_loads(books, epoch, report)
            done = erase_everywhere(books, connection, rules, scopes, find, done, report)
        marts.refresh_stale(books, mask)
        close_receipts(connection, done, _known_everywhere(connection, secret))
        seen = warehouse.seen_erasures
        if exported is not None and restored.is_behind(connection, seen):
            done = replace(done, is_closed=True)
        else:
            restored.note_applied(connection, seen)
        connection.commit()
        if not done.is_closed:
            restored.note_seen(connection, seen)
    return done


def _known_everywhere(connection: Connection, secret: str) -> list[bytes]:
    """The numbers whose pseudonym is known too, so that their reduced rows were found."""
    rows = connection.execute(
        "SELECT s.number_hash FROM ops.suppressed_number s JOIN ops.erasure e USING (erasure_id)"
        " WHERE e.key_fingerprint = %s AND EXISTS (SELECT FROM ops.suppressed_recipient r"
        "  WHERE r.number_hash = s.number_hash)",
        (fingerprint(secret),),
    ).fetchall()
    return [bytes(row[0]) for row in rows]


def _locate(
    connection: Connection,
    part: PersonalDataScope,
    suppressed: Suppression,
    recipients: Suppression,
) -> Locations:
    """Read every row once, and return the people found with all of their days."""
    gone: set[bytes] = set()
    days: set[tuple[str, date]] = set()
    for label, day in _all_days(connection, part):
        window = Window(day, day, part.account_of(label))
        gone |= _find_suppressed_of_day(connection, part, window, suppressed, recipients)
        if any(
            suppressed.occurs_in(*them) for them in _texts_with_numbers(connection, part, window)
        ):
            days.add((label, day))
        connection.commit()
    days.update(_days_of(connection, part, gone))
    return Locations(frozenset(gone), sorted(days, key=lambda one: (one[1], one[0])))


def _find_suppressed_of_day(
    connection: Connection,
    part: PersonalDataScope,
    window: Window,
    suppressed: Suppression,
    recipients: Suppression,
) -> set[bytes]:
    """Find the pseudonyms of the day's recipients that are on the list."""
    rows = connection.execute(
        sql.SQL(
            "SELECT DISTINCT {phone}, {person} FROM warehouse.{table} WHERE {window_condition}"
            " AND {phone} <> {erased} AND {person} IS NOT NULL"
        ).format(
            **part.identifiers(),
            window_condition=window_condition(part.table, window),
            erased=sql.Literal(ERASED),
        )
    ).fetchall()
    phones = {phone: recipient for phone, recipient in rows if phone != REDUCED}
    pseudonyms = {recipient.hex: recipient for _, recipient in rows}
    found = [phones[phone] for phone in part.personal.own_phones(phones, suppressed)]
    found += [pseudonyms[name] for name in recipients.find_suppressed(pseudonyms)]
    return {recipient.bytes for recipient in found}


def _texts_with_numbers(
    connection: Connection, part: PersonalDataScope, window: Window
) -> Iterator[list[str]]:
    for column in part.texts:
        with connection.cursor(name="texts_with_numbers") as cursor:
            cursor.execute(
                sql.SQL("SELECT DISTINCT {0} FROM warehouse.{1} WHERE {2} AND {0} ~ {3}").format(
                    sql.Identifier(column),
                    sql.Identifier(part.table.name),
                    window_condition(part.table, window),
                    sql.Literal(any_number()),
                )
            )
            while rows := cursor.fetchmany(TEXTS_AT_ONCE):
                yield [row[0] for row in rows]


def _all_days(connection: Connection, part: PersonalDataScope) -> list[tuple[str, date]]:
    rows = connection.execute(_days_query(part, sql.SQL("true"))).fetchall()
    connection.commit()
    return rows


def _days_of(
    connection: Connection, part: PersonalDataScope, gone: set[bytes]
) -> list[tuple[str, date]]:
    query = _days_query(part, sql.SQL("{person} = ANY(%s::uuid[])").format(**part.identifiers()))
    rows = connection.execute(query, ([one.hex() for one in gone],)).fetchall()
    connection.commit()
    return rows


def _days_query(part: PersonalDataScope, condition: sql.Composable) -> sql.Composed:
    return sql.SQL("SELECT DISTINCT {}::text, {} FROM warehouse.{} WHERE {}").format(
        sql.Identifier(part.table.account_column),
        sql.Identifier(part.table.day_column),
        sql.Identifier(part.table.name),
        condition,
    )
