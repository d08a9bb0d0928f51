"""Seal texts under a key: encrypted and authenticated, by Fernet of the library ``cryptography``.

The library takes about 50 ms to import, so it is imported only when something is sealed.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Final

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
SCRYPT_COST: Final = 1 << 15


class WrongKey(Exception):
    """The text was sealed under another key, or is damaged."""


def seal(text: bytes, key: bytes) -> bytes:
    """Encrypt and authenticate a text under a key of 32 bytes; returns printable ASCII."""
    from cryptography.fernet import Fernet

    return Fernet(urlsafe_b64encode(key)).encrypt(text)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """Decrypt what ``seal`` returned.

    Raises:
        WrongKey: it was sealed under another key, or was changed since.
    """
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Fernet(urlsafe_b64encode(key)).decrypt(sealed)
    except InvalidToken:
        raise WrongKey from None


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose from a long random secret (HKDF, SHA-256)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def derive_key_from_passphrase(secret: bytes, salt: bytes) -> bytes:
    """Derive a key from a secret that a person may have chosen (scrypt: a guess takes a tenth of a second)."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt, KEY_BYTES, n=SCRYPT_COST, r=8, p=1).derive(secret)
