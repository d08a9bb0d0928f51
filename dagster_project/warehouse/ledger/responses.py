"""``raw.response``: every response as received, stored before its rows are encoded.

Grain: one row for each HTTP response, by extraction, attempt and sequence. Bodies are zstd-compressed and
hashed; requests are stored without credentials. A window whose pages contradicted each other is requested
again under a higher attempt: of a complete extraction, the highest attempt is valid.

Compressing and sending a page takes as long as encoding its rows, and does not need the interpreter, so
``ResponseWriter`` does it in its own thread. Rows are written only after their response is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from typing import Any

import psycopg
import zstandard

from dagster_project.concurrency import thread_beside
from dagster_project.model.response import Response
from dagster_project.text.sanitize import sanitize

_LEVEL = 1
"""zstd's level: on pages of SMS, 1 saved 90 % of what 3 saves, in half the time."""


def store_response(
    connection: psycopg.Connection[Any], extraction_id: int, attempt: int, answer: Response
) -> bytes:
    """Store one response; committed by the caller's connection (autocommit: at once). Return its SHA-256."""
    body = answer.body
    digest = hashlib.sha256(body).digest()
    connection.execute(
        "INSERT INTO raw.response (extraction_id, attempt, sequence, request, asked_at, received_at,"
        " status, content_type, body_bytes, body_sha256, body)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %b)",
        (
            extraction_id,
            attempt,
            answer.sequence,
            json.dumps(dict(answer.request), ensure_ascii=True),
            answer.asked_at,
            answer.received_at,
            answer.status,
            sanitize(answer.content_type, Counter())[:200],
            len(body),
            digest,
            zstandard.ZstdCompressor(level=_LEVEL).compress(body),
        ),
    )
    return digest


class ResponseWriter:
    """Stores an extraction's responses in the background, one after another, each committed at once."""

    def __init__(self, connection: psycopg.Connection[Any], extraction_id: int) -> None:
        self._connection, self._extraction_id = connection, extraction_id
        self._thread = thread_beside("store")

    def store(self, attempt: int, answer: Response) -> Future[bytes]:
        """Begin to store a response; the future has its SHA-256 once it is committed, or raises.

        A decoded page that comes with it is not kept meanwhile.
        """
        answer = Response(**answer.values())
        return self._thread.submit(
            store_response, self._connection, self._extraction_id, attempt, answer
        )

    def __enter__(self) -> ResponseWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)


def read_digests(connection: psycopg.Connection[Any], extraction_id: int) -> dict[int, bytes]:
    """The SHA-256 of each response of an extraction's last attempt, by sequence; empty if one was redacted."""
    rows = connection.execute(
        "SELECT sequence, body_sha256, redacted_at IS NULL FROM raw.response WHERE extraction_id = %s"
        " AND attempt = (SELECT max(attempt) FROM raw.response WHERE extraction_id = %s)",
        (extraction_id, extraction_id),
    ).fetchall()
    if not all(is_as_received for _, _, is_as_received in rows):
        return {}
    return {sequence: bytes(digest) for sequence, digest, _ in rows}


def read_responses(
    connection: psycopg.Connection[Any],
    extraction_id: int,
    sequences: Collection[int] | None = None,
) -> Iterator[Response]:
    """Read the responses of an extraction's last attempt in order, one at a time (a page may take megabytes).

    ``sequences``: these of them; None: all.
    """
    rows = connection.execute(
        "SELECT attempt, sequence FROM raw.response WHERE extraction_id = %s AND attempt ="
        " (SELECT max(attempt) FROM raw.response WHERE extraction_id = %s) ORDER BY sequence",
        (extraction_id, extraction_id),
    ).fetchall()
    for row in rows:
        attempt, sequence = row
        if sequences is not None and sequence not in sequences:
            continue
        yield _read_response(connection, extraction_id, attempt, sequence)


def _read_response(
    connection: psycopg.Connection[Any], extraction_id: int, attempt: int, sequence: int
) -> Response:
    row = connection.execute(
        "SELECT request, asked_at, received_at, status, content_type, body FROM raw.response"
        " WHERE extraction_id = %s AND attempt = %s AND sequence = %s",
        (extraction_id, attempt, sequence),
        binary=True,
    ).fetchone()
    assert row is not None
    request, asked_at, received_at, status, content_type, body = row
    return Response(
        sequence=sequence,
        request=request,
        asked_at=asked_at,
        received_at=received_at,
        status=status,
        content_type=content_type,
        body=zstandard.ZstdDecompressor().decompress(body),
    )
