"""Pseudonyms of personal data: keyed hashes under sub-keys of ``PII_HASH_KEY``, 16 bytes each.

Each purpose (``recipient``, ``template`` …) has its own sub-key, so pseudonyms of different kinds
cannot be matched. Without the key nobody can find the number behind a pseudonym by trying all numbers.
The key appears in no SQL and no log; the warehouse stores only its fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

PSEUDONYM_SIZE: Final = 16


def secret_bytes(secret: str) -> bytes:
    """The secret's bytes as the environment had them; they need not be UTF-8."""
    return secret.encode("utf-8", "surrogateescape")


def sub_key(secret: str, purpose: str) -> bytes:
    """The 32-byte key of one purpose."""
    root = blake2b(secret_bytes(secret)).digest()
    return blake2b(purpose.encode(), key=root, digest_size=32).digest()


class PseudonymKeys(NamedTuple):
    """The sub-keys of the pseudonyms in rows."""

    recipient: bytes
    template: bytes

    @classmethod
    def from_secret(cls, secret: str) -> PseudonymKeys:
        """Derive the keys from ``PII_HASH_KEY``."""
        return cls(sub_key(secret, "recipient"), sub_key(secret, "template"))


def fingerprint(secret: str) -> str:
    """16 hexadecimal digits that identify a ``PII_HASH_KEY`` without revealing it."""
    return sub_key(secret, "fingerprint")[:8].hex()


def pseudonym(key: bytes, text: bytes) -> bytes:
    """BLAKE2b of ``text`` under a sub-key: 16 bytes, a uuid in Postgres."""
    return blake2b(text, key=key, digest_size=PSEUDONYM_SIZE).digest()


def pseudonyms(key: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """The pseudonym of each text; a third faster than one by one, since the key is digested once."""
    copy_keyed = blake2b(key=key, digest_size=PSEUDONYM_SIZE).copy
    found = []
    for text in texts:
        state = copy_keyed()
        state.update(text)
        found.append(state.digest())
    return found
