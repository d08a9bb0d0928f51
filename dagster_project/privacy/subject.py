"""Collect what is held about one telephone number, for the person who asks for it.

It is found as an erasure finds it: rows by phone or pseudonym, stored responses and rejects by the functions
that would erase it. Records of others that mention the number are only counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import zstandard
from psycopg import sql
from psycopg.rows import dict_row

from dagster_project.model.privacy import HASH_BYTES, REDUCED, Identity, Occurrences, Suppression
from dagster_project.privacy import suppression
from dagster_project.privacy.erasure import pseudonyms_in_rows
from dagster_project.privacy.personal_data import PersonalDataScope
from dagster_project.privacy.search_patterns import text_pattern
from dagster_project.privacy.stored_responses import stored_records
from dagster_project.warehouse.connection import Connection, Report

TEXTS_AT_ONCE = 10_000
NOT_ABOUT_THE_PERSON = ("content_hash",)


def collect(
    connection: Connection,
    secret: str,
    identity: Identity,
    scopes: Sequence[PersonalDataScope],
    report: Report = lambda line: None,
) -> dict[str, Any]:
    """Collect everything that is held, as JSON values; a snapshot, if the caller's transaction is one."""
    suppression.refuse_while_rekeying(connection)
    wanted = Suppression.from_identities(secrets.token_bytes(HASH_BYTES), [identity])
    held: dict[str, Any] = {"rows": [], "stored_responses": [], "rejected_records": []}
    others = dict.fromkeys(held, 0)
    pseudonyms = []
    for part in scopes:
        gone = pseudonyms_in_rows(connection, part, [identity], wanted)
        pseudonyms.append(str(UUID(bytes=part.personal.pseudonym_of(identity, part.keys))))
        report(f"{part.source}: rows …")
        held["rows"] += list(_find_rows(connection, part, gone, wanted))
        others["rows"] += _count_mentions_in_rows(connection, part, gone, identity, wanted)
        report(f"{part.source}: stored responses …")
        for place, found in _find_in_responses(connection, part, wanted):
            others["stored_responses"] += found.mentions
            if found.own:
                held["stored_responses"].append({**place, "records": found.own})
        report(f"{part.source}: rejected records …")
        for reject, found in _find_in_rejects(connection, part, wanted):
            others["rejected_records"] += found.mentions
            if found.own:
                held["rejected_records"].append({**reject, "record": found.own[0]})
    return {
        "number": identity.number,
        "collected_at": _to_json(datetime.now(UTC)),
        "pseudonyms": pseudonyms,
        **held,
        "named_in_records_of_others": others,
        "erasure": _read_erasure(connection, secret, identity),
    }


def _find_rows(
    connection: Connection, part: PersonalDataScope, gone: frozenset[bytes], wanted: Suppression
) -> Iterator[dict[str, Any]]:
    """Find the person's rows, with all columns; reduced rows are found by their pseudonym."""
    with connection.cursor(name="rows_of_subject", row_factory=dict_row) as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT * FROM warehouse.{table} WHERE {person} = ANY(%s::uuid[]) ORDER BY {day}"
            ).format(**part.identifiers()),
            ([one.hex() for one in gone],),
        )
        for row in cursor:
            phone = row[part.personal.columns.phone]
            if phone == REDUCED or part.personal.own_phones([phone], wanted):
                shown = {k: _to_json(v) for k, v in row.items() if k not in NOT_ABOUT_THE_PERSON}
                yield {"table": f"warehouse.{part.table.name}", **shown}


def _count_mentions_in_rows(
    connection: Connection,
    part: PersonalDataScope,
    gone: frozenset[bytes],
    identity: Identity,
    wanted: Suppression,
) -> int:
    """Count the rows of others that mention the number in a text."""
    with connection.cursor(name="texts_with_numbers") as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT {texts} FROM warehouse.{table} WHERE ({in_texts})"
                " AND ({person} IS NULL OR {person} <> ALL(%s::uuid[]))"
            ).format(**part.identifiers()),
            ([*([text_pattern([identity])] * len(part.texts)), [one.hex() for one in gone]]),
        )
        return sum(
            wanted.occurs_in(*(text for text in texts if text is not None)) for texts in cursor
        )


def _find_in_responses(
    connection: Connection, part: PersonalDataScope, wanted: Suppression
) -> Iterator[tuple[dict[str, Any], Occurrences]]:
    for place in stored_records(connection, part.source):
        row = connection.execute(
            "SELECT r.body, e.account, e.first_day, e.last_day, r.asked_at FROM raw.response r"
            " JOIN ops.extraction e USING (extraction_id)"
            " WHERE r.extraction_id = %s AND r.attempt = %s AND r.sequence = %s",
            place,
            binary=True,
        ).fetchone()
        if row is None:
            continue
        body, account, first_day, last_day, asked_at = row
        found = part.personal.find_in_body(zstandard.ZstdDecompressor().decompress(body), wanted)
        about = {
            "source": part.source,
            "account": account,
            "first_day": _to_json(first_day),
            "last_day": _to_json(last_day),
            "asked_at": _to_json(asked_at),
        }
        names = ("extraction_id", "attempt", "sequence")
        yield about | dict(zip(names, place, strict=True)), found


def _find_in_rejects(
    connection: Connection, part: PersonalDataScope, wanted: Suppression
) -> Iterator[tuple[dict[str, Any], Occurrences]]:
    with connection.cursor(name="rejects", row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT source, account, day, reason, first_seen_at, last_seen_at, original"
            " FROM ops.rejected_record WHERE source = %s ORDER BY first_seen_at",
            (part.source,),
        )
        for row in cursor:
            found = part.personal.find_in_reject(row.pop("original"), wanted)
            yield {name: _to_json(value) for name, value in row.items()}, found


def _read_erasure(connection: Connection, secret: str, identity: Identity) -> dict[str, Any]:
    """Read since when the number is suppressed, and by which erasure; None: it is not."""
    row = None
    sealed = suppression.sealed_key(connection)
    if sealed is not None:
        master = suppression.unseal(sealed, secret)
        key = Suppression(suppression.sub_key_of(master, "suppression"))
        row = connection.execute(
            "SELECT s.suppressed_at, e.erasure_id, e.requested_at, e.finished_at"
            " FROM ops.suppressed_number s JOIN ops.erasure e USING (erasure_id)"
            " WHERE s.number_hash = %s",
            (key.hash_of(identity.number),),
        ).fetchone()
    names = ("kept_out_since", "erasure_id", "requested_at", "finished_at")
    return dict(zip(names, map(_to_json, row or [None] * len(names)), strict=True))


def _to_json(value: Any) -> Any:
    """A value as JSON can hold it; times in ISO 8601."""
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)
