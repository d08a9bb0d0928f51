"""The suppression list and the privacy rules of loads, and how loads under way learn of a change.

Every load of personal data belongs to an *epoch*: it holds a shared advisory lock on the epoch until it has
committed. Whoever changes the rules (an erasure, a new key) begins a new epoch, and holds its lock like a load
until all that is stored follows the change. New loads go on at once under the new rules; the change waits for
the loads and changes of earlier epochs before it reads what is stored.

The list's key is random, and is stored in the database sealed under ``PII_HASH_KEY``. A new ``PII_HASH_KEY``
seals it again, so the list, whose numbers nobody knows any more, stays valid.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from hashlib import blake2b

from dagster_project import clock
from dagster_project.errors import SettingsError
from dagster_project.model.privacy import Identity, Rules, Suppression
from dagster_project.model.window import ONE_DAY, Account
from dagster_project.privacy import old_seal
from dagster_project.text import remedies, sealing
from dagster_project.text.pseudonyms import secret_bytes
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection, Report
from dagster_project.warehouse.queries import fetch_value

EPOCH_CLASS = 1347373391
KEY_BYTES = 32
POLL_SECONDS = 0.2


@contextmanager
def hold_rules(connection: Connection, account: Account, secret: str) -> Iterator[Rules]:
    """Hold the privacy rules of a load of this account, unchanged inside the block.

    Days up to the newest reduced day are loaded reduced. Other old days are loaded as the vendor sends
    them, and reduced by the next scheduled reduction.

    ``connection`` is in autocommit, and is the load's own until the load has committed.

    Raises:
        SettingsError: pseudonyms are being recomputed.
    """
    epoch = _enter_epoch(connection)
    try:
        refuse_while_rekeying(connection)
        master = master_key(connection, secret)
        last = fetch_value(
            connection,
            "SELECT max(day) FROM ops.day_state WHERE source = %s AND account = %s"
            " AND reduced_at IS NOT NULL",
            (account.source, account.label),
        )
        reduced = last + ONE_DAY if last else date.min
        yield Rules(stored_list(connection, master), reduced, reduction_key(master))
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", (EPOCH_CLASS, epoch))


def reduced_before(account: Account, pii_days: int) -> date:
    """The first day that is not old enough to be reduced."""
    return clock.today(account.time_zone) - timedelta(days=pii_days)


def _enter_epoch(connection: Connection) -> int:
    """Take the lock of the current epoch; repeat if the epoch changed meanwhile."""
    epoch = _read_epoch(connection)
    while True:
        connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (EPOCH_CLASS, epoch))
        now = _read_epoch(connection)
        if now == epoch:
            return epoch
        connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", (EPOCH_CLASS, epoch))
        epoch = now


def _read_epoch(connection: Connection) -> int:
    return int(fetch_value(connection, "SELECT epoch FROM ops.privacy"))


def refuse_while_rekeying(connection: Connection) -> None:
    """Refuse to go on during a rekey: nothing else may read or write pseudonyms."""
    if fetch_value(connection, "SELECT next_fingerprint FROM ops.pii_key") is not None:
        raise SettingsError(
            "pseudonyms are being recomputed with a new key; nothing else can run until that is finished.",
            hint=remedies.FINISH_REKEY,
        )


def new_epoch(connection: Connection) -> int:
    """Begin a new epoch, in the caller's transaction, and hold its lock until the connection is closed."""
    epoch = int(fetch_value(connection, "UPDATE ops.privacy SET epoch = epoch + 1 RETURNING epoch"))
    connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (EPOCH_CLASS, epoch))
    return epoch


def begin_change(connection: Connection) -> int:
    """Begin the epoch of a change of what is stored. A rekey that begins from now on waits for it.

    Raises:
        SettingsError: pseudonyms are being recomputed.
    """
    epoch = new_epoch(connection)
    refuse_while_rekeying(connection)
    return epoch


def count_erasure(connection: Connection) -> None:
    """Raise the number by which an older copy of this warehouse is recognized, in the caller's transaction."""
    connection.execute("UPDATE ops.privacy SET erasures = erasures + 1")


def wait_for_earlier_loads(
    connection: Connection, epoch: int, report: Report = lambda line: None
) -> None:
    """Wait until no load and no change of an earlier epoch is under way."""
    reported = False
    while True:
        loads = fetch_value(
            connection,
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid < %s AND l.objsubid = 2"
            " AND l.granted AND d.datname = current_database()",
            (EPOCH_CLASS, epoch),
        )
        if not loads:
            return
        if not reported:
            report(f"waiting for {pluralize(loads, 'other session')} that began before …")
            reported = True
        time.sleep(POLL_SECONDS)


def suppress(
    connection: Connection, identities: Sequence[Identity], secret: str, erasure_id: int
) -> Suppression:
    """Put numbers on the list; return the whole list."""
    master = master_key(connection, secret)
    key = Suppression(sub_key_of(master, "suppression"))
    for number, tail in identities:
        connection.execute(
            "INSERT INTO ops.suppressed_number (number_hash, tail_hash, tail_length, erasure_id)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (number_hash) DO UPDATE"
            " SET tail_hash = excluded.tail_hash, tail_length = excluded.tail_length",
            (
                key.hash_of(number),
                key.hash_of(tail) if tail else None,
                len(tail) if tail else None,
                erasure_id,
            ),
        )
    return stored_list(connection, master)


def remember_recipients(
    connection: Connection, suppressed: Suppression, recipients: Mapping[str, Collection[bytes]]
) -> None:
    """Store the pseudonyms of numbers on the list: reduced rows can only be found by them."""
    for number, pseudonyms in recipients.items():
        for recipient in pseudonyms:
            connection.execute(
                "INSERT INTO ops.suppressed_recipient (recipient_hash, number_hash)"
                " VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (suppressed.hash_of(recipient.hex()), suppressed.hash_of(number)),
            )


def suppressed_recipients(connection: Connection, suppressed: Suppression) -> Suppression:
    """The list's pseudonyms, as a list of their own; they are looked up as hexadecimal digits."""
    rows = connection.execute("SELECT recipient_hash FROM ops.suppressed_recipient").fetchall()
    return Suppression(suppressed.key, frozenset(bytes(row[0]) for row in rows))


def stored_list(connection: Connection, master: bytes) -> Suppression:
    """Read the whole list."""
    rows = connection.execute(
        "SELECT number_hash, tail_hash, tail_length FROM ops.suppressed_number"
    ).fetchall()
    return Suppression(
        sub_key_of(master, "suppression"),
        frozenset(bytes(row[0]) for row in rows),
        frozenset(bytes(row[1]) for row in rows if row[1] is not None),
        tuple(sorted({int(row[2]) for row in rows if row[2] is not None})),
    )


def master_key(connection: Connection, secret: str) -> bytes:
    """The master key, from which the keys of the list and of reduction are derived; created on first use.

    Raises:
        SettingsError: it was sealed under another ``PII_HASH_KEY``.
    """
    sealed = sealed_key(connection)
    if sealed is None:
        connection.execute(
            "UPDATE ops.privacy SET sealed_key = %s WHERE sealed_key IS NULL",
            (seal(secrets.token_bytes(KEY_BYTES), secret),),
        )
        sealed = sealed_key(connection)
        assert sealed is not None
    master = unseal(sealed, secret)
    if len(sealed) == old_seal.SEALED_BYTES:
        connection.execute(
            "UPDATE ops.privacy SET sealed_key = %s WHERE sealed_key = %s",
            (seal(master, secret), sealed),
        )
    return master


def sealed_key(connection: Connection) -> bytes | None:
    """The sealed master key in the database; None: not created yet."""
    sealed = fetch_value(connection, "SELECT sealed_key FROM ops.privacy")
    return None if sealed is None else bytes(sealed)


def reduction_key(master: bytes) -> bytes:
    return sub_key_of(master, "reduction")


def sub_key_of(master: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose."""
    return blake2b(purpose.encode(), key=master, digest_size=KEY_BYTES).digest()


def seal(master: bytes, secret: str) -> bytes:
    """Seal the master key for the database."""
    return sealing.seal(master, _sealing_key(secret))


def unseal(sealed: bytes, secret: str) -> bytes:
    """Unseal the master key.

    Raises:
        SettingsError: it was sealed under another ``PII_HASH_KEY``.
    """
    try:
        if len(sealed) == old_seal.SEALED_BYTES:
            return old_seal.unseal(sealed, secret)
        return sealing.unseal(sealed, _sealing_key(secret))
    except sealing.WrongKey:
        raise SettingsError(
            "PII_HASH_KEY is not the key that this warehouse was loaded with.",
            hint=remedies.RESTORE_KEY,
        ) from None


def _sealing_key(secret: str) -> bytes:
    return sealing.derive_key(secret_bytes(secret), "key of the suppression list")
