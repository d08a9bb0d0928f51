"""Export the suppression list to a file, and import it into a restored backup.

The file is JSON with two sealed parts: the list (keyed hashes, and the number of its newest erasure) under its
own key, and that key under ``PII_HASH_KEY``. It cannot be read without one of the two keys. The list's key
survives a change of ``PII_HASH_KEY``, so a list that was exported after a ``warehouse rekey`` fits a backup from
before. Lists of the first format, with unencrypted hashes and a tag, are still read.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

from dagster_project.errors import SettingsError
from dagster_project.privacy import old_seal, suppression
from dagster_project.text import remedies, sealing
from dagster_project.text.pseudonyms import secret_bytes
from dagster_project.text.sealing import WrongKey
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value

FORMAT: Final = "suppression list of a messaging warehouse, 2"
OLD_FORMAT: Final = "suppression list of a messaging warehouse, 1"


@dataclass(frozen=True)
class Content:
    """A list's content. ``erasures``: the number of its newest erasure; 0 in the first format, which has none."""

    numbers: list[list[Any]]
    recipients: list[list[str]]
    erasures: int = 0


def export_list(connection: Connection, secret: str) -> str:
    """Export the list as the text of a file, as it stands between two changes of it."""
    # Every change of the list begins with an update of this row, and so waits, or is waited for.
    erasures = fetch_value(connection, "SELECT erasures FROM ops.privacy FOR SHARE")
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
    content = json.dumps({"numbers": numbers, "recipients": recipients, "erasures": erasures})
    salt = secrets.token_bytes(sealing.SALT_BYTES)
    key = sealing.derive_key_from_passphrase(secret_bytes(secret), salt)
    file = {
        "format": FORMAT,
        "salt": salt.hex(),
        "sealed_key": sealing.seal(master, key).decode(),
        "sealed_list": sealing.seal(content.encode(), _list_key(master)).decode(),
    }
    return json.dumps(file, indent=1) + "\n"


def import_list(connection: Connection, text: str, secret: str, erasure_id: int) -> int:
    """Add an exported list to this warehouse's; return how many of its numbers were new.

    Raises:
        SettingsError: it is another warehouse's, or damaged; nothing was changed.
    """
    content = _open(connection, _read(text), secret)
    new = 0
    for number, tail, length, since in content.numbers:
        new += connection.execute(
            "INSERT INTO ops.suppressed_number"
            " (number_hash, tail_hash, tail_length, erasure_id, suppressed_at)"
            " VALUES (decode(%s, 'hex'), decode(%s, 'hex'), %s, %s, %s) ON CONFLICT DO NOTHING",
            (number, tail, length, erasure_id, since),
        ).rowcount
    for recipient, number in content.recipients:
        connection.execute(
            "INSERT INTO ops.suppressed_recipient (recipient_hash, number_hash)"
            " VALUES (decode(%s, 'hex'), decode(%s, 'hex')) ON CONFLICT DO NOTHING",
            (recipient, number),
        )
    connection.execute(
        "UPDATE ops.privacy SET erasures = %(newest)s WHERE erasures < %(newest)s",
        {"newest": content.erasures},
    )
    return new


@dataclass(frozen=True)
class _Sealed:
    """A list of the current format."""

    salt: str
    sealed_key: str
    sealed_list: str

    def key(self, secret: str) -> bytes:
        """Unseal the list's own key. Raises ``WrongKey``: it is sealed under another ``PII_HASH_KEY``."""
        try:
            salt = bytes.fromhex(self.salt)
        except ValueError:
            raise WrongKey from None
        key = sealing.derive_key_from_passphrase(secret_bytes(secret), salt)
        return sealing.unseal(self.sealed_key.encode(), key)

    def content(self, master: bytes) -> Content:
        """Unseal the list's content. Raises ``WrongKey``: it has another key, or is damaged."""
        return Content(**json.loads(sealing.unseal(self.sealed_list.encode(), _list_key(master))))


@dataclass(frozen=True)
class _Tagged:
    """A list of the first format."""

    said: dict[str, Any]

    def key(self, secret: str) -> bytes:
        try:
            return old_seal.unseal(bytes.fromhex(self.said["sealed_key"]), secret)
        except (TypeError, ValueError):
            raise WrongKey from None

    def content(self, master: bytes) -> Content:
        if not old_seal.is_tagged(self.said, suppression.sub_key_of(master, "exported list")):
            raise WrongKey
        return Content(self.said["numbers"], self.said["recipients"])


def _read(text: str) -> _Sealed | _Tagged:
    try:
        file = json.loads(text)
    except ValueError:
        file = None
    if isinstance(file, dict):
        names = set(file) - {"format"}
        texts = all(isinstance(value, str) for value in file.values())
        if file.get("format") == FORMAT and texts and names == {*_Sealed.__annotations__}:
            return _Sealed(**{name: file[name] for name in names})
        if file.get("format") == OLD_FORMAT and names == {
            *("sealed_key", "numbers", "recipients", "tag")
        }:
            return _Tagged(file)
    raise SettingsError(
        "the file is no suppression list.",
        hint=f"give it one that {remedies.EXPORT_ERASURES} wrote.",
    )


def _open(connection: Connection, file: _Sealed | _Tagged, secret: str) -> Content:
    """Unseal a list with this warehouse's key; a warehouse that has suppressed nothing takes the list's key."""
    sealed = suppression.sealed_key(connection)
    try:
        if sealed is not None:
            own = suppression.unseal(sealed, secret)
            try:
                return file.content(own)
            except WrongKey:
                if not _is_unused(connection):
                    raise
        theirs = file.key(secret)
        content = file.content(theirs)
    except WrongKey:
        raise SettingsError(
            "the suppression list is another warehouse's, or damaged.",
            hint=f"give the file as {remedies.EXPORT_ERASURES} of this warehouse wrote it.",
        ) from None
    connection.execute(
        "UPDATE ops.privacy SET sealed_key = %s", (suppression.seal(theirs, secret),)
    )
    return content


def _is_unused(connection: Connection) -> bool:
    """Whether nothing depends on the list's key: there is no number, and no reduced day."""
    return not fetch_value(
        connection,
        "SELECT EXISTS (SELECT FROM ops.suppressed_number)"
        " OR EXISTS (SELECT FROM ops.day_state WHERE reduced_at IS NOT NULL)",
    )


def _list_key(master: bytes) -> bytes:
    return sealing.derive_key(master, "exported suppression list")
