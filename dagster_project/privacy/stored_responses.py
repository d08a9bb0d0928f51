"""Stored responses, read and rewritten one by one where personal data in them changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import zstandard

from dagster_project.warehouse.connection import Connection

_LEVEL = 1

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
