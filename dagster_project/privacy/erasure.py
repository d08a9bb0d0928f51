"""Erasing people: their numbers taken out of responses, rejects and rows, and kept out from then on.

First the numbers go on the suppression list, and a new epoch begins: loads that begin now keep them out by
themselves. When the loads of before have ended, everything stored is gone through. Each step is small,
commits by itself and does nothing twice, so an erasure that was stopped is finished by the next that has
its numbers, given again or as the list has them (``erase_again``); until then its receipt stays open.
A day's rows change together with the note that its marts are stale, which whoever works off that queue
next counts afresh; the receipt closes after that.

No number enters a statement: what is looked for are pseudonyms, and texts whose last digits fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import zstandard
from psycopg import sql

from dagster_project.model.privacy import Identity, Personal, Reduction, Rules, Suppression, Values
from dagster_project.model.table import Table
from dagster_project.model.window import Account
from dagster_project.privacy import suppression
from dagster_project.text.pseudonyms import PseudonymKeys, fingerprint
from dagster_project.text.written_numbers import FEWEST_DIGITS, non_ascii_digits
from dagster_project.warehouse import marts, restored
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.ledger.rejects import redact_rejects
from dagster_project.warehouse.load.rewrite import rewrite_day
from dagster_project.warehouse.queries import fetch_value

LAST_DIGITS = 4
MOST_PATTERNS = 50
PHONES_AT_ONCE = 10_000
_BETWEEN = "[^0-9A-Za-zА-Яа-яЁё]*"
_ESCAPE = r"&#?[0-9A-Za-z]{1,8};|\\u[0-9A-Fa-f]{4}|\\[nrt]|%[0-9A-Fa-f]{2}"
_LEVEL = 1


@dataclass(frozen=True)
class Reducible:
    """What of the warehouse holds a feed's personal data of old days.

    ``account_of`` knows every label that was ever loaded, configured still or not. ``lock_whole``: its loads
    lock all days at once.
    """

    source: str
    table: Table
    account_of: Callable[[str], Account]
    reduction: Reduction
    lock_whole: bool

    def accounts(self, connection: Connection) -> list[Account]:
        """Every account that has loaded days."""
        rows = connection.execute(
            "SELECT DISTINCT account FROM ops.day_state WHERE source = %s ORDER BY account",
            (self.source,),
        )
        return [self.account_of(row[0]) for row in rows.fetchall()]


@dataclass(frozen=True)
class PersonalDataScope(Reducible):
    """What of the warehouse holds a feed's people; its rows have pseudonyms under ``keys``."""

    personal: Personal
    keys: PseudonymKeys

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns in which a number may stand among other words."""
        return self.personal.columns.texts

    def identifiers(self) -> dict[str, sql.Composable]:
        """Table and columns by their roles, for a statement; ``in_texts`` takes a pattern for each text."""
        columns = self.personal.columns
        return {
            "table": sql.Identifier(self.table.name),
            "account": sql.Identifier(self.table.account_column),
            "day": sql.Identifier(self.table.day_column),
            "phone": sql.Identifier(columns.phone),
            "person": sql.Identifier(columns.person),
            "texts": sql.SQL(", ").join(map(sql.Identifier, columns.texts)),
            "in_texts": sql.SQL(" OR ").join(
                sql.SQL("{} ~ %s").format(sql.Identifier(column)) for column in columns.texts
            ),
        }

    def reject_redactor(self, suppressed: Suppression) -> Callable[[str], str | None]:
        """Takes these numbers out of a rejected record."""
        return lambda original: self.personal.redact_reject(original, suppressed)


@dataclass(frozen=True)
class Erased:
    """What an erasure did; also its receipt. ``is_closed``: loads and readers are kept out still."""

    erasure_id: int
    numbers: int
    rows: int = 0
    responses: int = 0
    rejects: int = 0
    days: tuple[tuple[str, date], ...] = ()
    is_closed: bool = False

    def with_day(self, account: str, day: date, rows: int) -> Erased:
        """The same with a day more, where rows of it were rewritten."""
        if not rows:
            return self
        return replace(self, rows=self.rows + rows, days=(*self.days, (account, day)))


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

    with warehouse.connect(what="forget") as connection:
        suppression.refuse_while_rekeying(connection)
        is_closed = restored.close_restored(connection, warehouse.seen_erasures)
        done, rules = _suppress(connection, secret, identities, scopes)
        epoch = suppression.new_epoch(connection)
        suppression.count_erasure(connection)
        connection.commit()
        if not is_closed:
            restored.note_seen(connection, warehouse.seen_erasures)
        connection.commit()
    done = erase_everywhere(warehouse, rules, epoch, scopes, find, done, report)
    with warehouse.connect(what="forget", autocommit=True) as books:
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
    warehouse: Warehouse,
    rules: Rules,
    epoch: int,
    scopes: Sequence[PersonalDataScope],
    find: Find,
    done: Erased,
    report: Report,
) -> Erased:
    """Take the suppressed numbers out of all that is stored, once no load of an earlier epoch is left."""
    with (
        warehouse.connect(what="forget", autocommit=True) as books,
        warehouse.connect(what="forget") as connection,
    ):
        suppression.wait_for_earlier_loads(books, epoch, report)
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


def open_receipt(connection: Connection, numbers: int, secret: str, verb: str) -> int:
    """Note that an erasure begins, and who began it."""
    return int(
        fetch_value(
            connection,
            "INSERT INTO ops.erasure (numbers, key_fingerprint, code_version, act_id)"
            " VALUES (%s, %s, %s, %s) RETURNING erasure_id",
            (numbers, fingerprint(secret), CODE_VERSION, note_act(connection, verb)),
        )
    )


def close_receipts(connection: Connection, done: Erased, numbers: Sequence[bytes]) -> None:
    """Also of earlier erasures that were stopped, where all of their numbers were given again."""
    connection.execute(
        "UPDATE ops.erasure SET finished_at = now(), numbers = %s, rows_erased = %s, responses = %s,"
        " rejects = %s, days = %s WHERE erasure_id = %s",
        (
            done.numbers,
            done.rows,
            done.responses,
            done.rejects,
            len(done.days),
            done.erasure_id,
        ),
    )
    connection.execute(
        "UPDATE ops.erasure e SET finished_at = now() WHERE finished_at IS NULL AND NOT EXISTS ("
        " SELECT FROM ops.suppressed_number s WHERE s.erasure_id = e.erasure_id"
        " AND s.number_hash <> ALL (%s::bytea[]))",
        (list(numbers),),
    )


def unfinished(connection: Connection) -> list[int]:
    """Erasures that are under way, or were stopped before their end."""
    rows = connection.execute(
        "SELECT erasure_id FROM ops.erasure WHERE finished_at IS NULL ORDER BY erasure_id"
    ).fetchall()
    return [row[0] for row in rows]


def _responses(connection: Connection, part: PersonalDataScope, suppressed: Suppression) -> int:
    """Rewrite stored responses that hold a number; one at a time, each committed."""
    changed = 0
    for place in stored_records(connection, part.source):
        changed += rewrite_response(
            connection, place, lambda body: part.personal.redact_body(body, suppressed)
        )
    return changed


Place = tuple[int, int, int]


def stored_records(connection: Connection, source: str) -> Iterator[Place]:
    yield from connection.execute(
        "SELECT r.extraction_id, r.attempt, r.sequence FROM raw.response r"
        " JOIN ops.extraction e USING (extraction_id) WHERE e.source = %s"
        " ORDER BY r.extraction_id, r.attempt, r.sequence",
        (source,),
    ).fetchall()


def rewrite_response(
    connection: Connection, place: Place, change: Callable[[bytes], bytes | None]
) -> bool:
    """Whether ``change`` had another body for the response; size and hash stay the received one's."""
    row = connection.execute(
        "SELECT body FROM raw.response WHERE extraction_id = %s AND attempt = %s AND sequence = %s",
        place,
        binary=True,
    ).fetchone()
    if row is None:
        return False
    body = change(zstandard.ZstdDecompressor().decompress(row[0]))
    if body is None:
        return False
    connection.execute(
        "UPDATE raw.response SET body = %b, redacted_at = now()"
        " WHERE extraction_id = %s AND attempt = %s AND sequence = %s",
        (zstandard.ZstdCompressor(level=_LEVEL).compress(body), *place),
    )
    return True


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


def text_pattern(identities: Sequence[Identity]) -> str:
    """Texts that may hold one of the numbers, by its last digits alone; any number, where there are many.

    Texts with digits of other scripts, or with an escape among digits, may hold any.
    """
    endings = {one.tail[-LAST_DIGITS:] for one in identities if one.tail}
    if not endings:
        return "$."
    if len(endings) > MOST_PATTERNS:
        return any_number()
    return "|".join([*(_BETWEEN.join(ending) for ending in sorted(endings)), _unusual()])


def any_number() -> str:
    """Texts that may hold a number."""
    return f"[0-9](?:{_BETWEEN}[0-9]){{{FEWEST_DIGITS - 1}}}|{_unusual()}"


@cache
def _unusual() -> str:
    return f"[{non_ascii_digits()}]|[0-9][^0-9]*(?:{_ESCAPE})"
