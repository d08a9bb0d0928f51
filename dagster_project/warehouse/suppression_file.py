"""The suppression list as a file, to be kept apart from backups and brought into a restored one.

JSON with the list's keyed hashes, the key that they hang on, sealed under ``PII_HASH_KEY``, and a tag
over all of it. No number can be told from it without ``PII_HASH_KEY``. The list's own key outlives a
change of that one: a list exported after a ``warehouse rekey`` fits a backup from before it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from dagster_project.errors import SettingsError
from dagster_project.warehouse import suppression
from dagster_project.warehouse.ledger import Connection

FORMAT: Final = "suppression list of a messaging warehouse, 1"


def export(connection: Connection, secret: str) -> str:
    """The list as it stands, as the text of a file."""
    master = suppression.master_key(connection, secret)
    numbers = connection.execute(
        "SELECT encode(number_hash, 'hex'), encode(tail_hash, 'hex'), tail_length,"
        " to_char(suppressed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM ops.suppressed_number ORDER BY suppressed_at, 1"
    ).fetchall()
    recipients = connection.execute(
        "SELECT encode(recipient_hash, 'hex'), encode(number_hash, 'hex')"
        " FROM ops.suppressed_recipient ORDER BY 1"
    ).fetchall()
    content = {
        "format": FORMAT,
        "sealed_key": suppression.seal(master, secret).hex(),
        "numbers": numbers,
        "recipients": recipients,
    }
    return json.dumps({**content, "tag": _tag(content, master)}, indent=1) + "\n"


def take_in(connection: Connection, text: str, secret: str, erasure_id: int) -> int:
    """Join an exported list to the one that stands; answers how many numbers were new to it.

    Raises:
        SettingsError: it is not of this warehouse, or damaged; nothing was changed.
    """
    content = _read(text)
    _find_master(connection, content, secret)
    new = 0
    for number, tail, length, since in content["numbers"]:
        new += connection.execute(
            "INSERT INTO ops.suppressed_number"
            " (number_hash, tail_hash, tail_length, erasure_id, suppressed_at)"
            " VALUES (decode(%s, 'hex'), decode(%s, 'hex'), %s, %s, %s) ON CONFLICT DO NOTHING",
            (number, tail, length, erasure_id, since),
        ).rowcount
    for recipient, number in content["recipients"]:
        connection.execute(
            "INSERT INTO ops.suppressed_recipient (recipient_hash, number_hash)"
            " VALUES (decode(%s, 'hex'), decode(%s, 'hex')) ON CONFLICT DO NOTHING",
            (recipient, number),
        )
    return new


def _read(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if (
        not isinstance(content, dict)
        or content.keys() != {"format", "sealed_key", "numbers", "recipients", "tag"}
        or content["format"] != FORMAT
    ):
        raise SettingsError(
            "the file is no suppression list.",
            way_out="give it one that `warehouse forget --export` wrote.",
        )
    return content


def _find_master(connection: Connection, content: dict[str, Any], secret: str) -> None:
    """See that the list hangs on this warehouse's key; one that has suppressed nothing takes the list's."""
    sealed = suppression.sealed_key(connection)
    if sealed is not None and _fits(content, suppression.unseal(sealed, secret)):
        return
    if sealed is None or _is_unused(connection):
        theirs = _sealed_in(content)
        if theirs and _fits(content, suppression.unseal(theirs, secret)):
            connection.execute("UPDATE ops.privacy SET sealed_key = %s", (theirs,))
            return
    raise SettingsError(
        "the suppression list is another warehouse's, or damaged.",
        way_out="give the file as `warehouse forget --export` of this warehouse wrote it.",
    )


def _sealed_in(content: Mapping[str, Any]) -> bytes | None:
    try:
        return bytes.fromhex(content["sealed_key"])
    except (TypeError, ValueError):
        return None


def _is_unused(connection: Connection) -> bool:
    """Whether nothing hangs on the list's key: no number, and no reduced day."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM ops.suppressed_number)"
        " OR EXISTS (SELECT FROM ops.day_state WHERE reduced_at IS NOT NULL)"
    ).fetchone()
    return row is not None and not row[0]


def _fits(content: Mapping[str, Any], master: bytes) -> bool:
    given = {name: value for name, value in content.items() if name != "tag"}
    return secrets.compare_digest(_tag(given, master), str(content.get("tag")))


def _tag(content: Mapping[str, Any], master: bytes) -> str:
    key = suppression.sub_key_of(master, "exported list")
    return blake2b(
        json.dumps(content, sort_keys=True).encode(), key=key, digest_size=16
    ).hexdigest()
