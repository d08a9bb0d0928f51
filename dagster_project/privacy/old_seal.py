"""Read what was sealed before the library ``cryptography`` was used; nothing is written this way any more.

The suppression list's key was encrypted with a keyed BLAKE2b stream and had a tag; an exported list was JSON
with a keyed tag.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from dagster_project.text.pseudonyms import sub_key
from dagster_project.text.sealing import WrongKey

SEALED_BYTES: Final = 64
NONCE_BYTES: Final = 16
TAG_BYTES: Final = 16


def unseal(sealed: bytes, secret: str) -> bytes:
    """Unseal the suppression list's key.

    Raises:
        WrongKey: it was sealed under another ``PII_HASH_KEY``, or is damaged.
    """
    nonce, mixed = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:-TAG_BYTES]
    tag = blake2b(nonce + mixed, key=sub_key(secret, "seal tag"), digest_size=TAG_BYTES).digest()
    stream = blake2b(nonce, key=sub_key(secret, "seal"), digest_size=32).digest()
    if len(mixed) != len(stream) or not secrets.compare_digest(tag, sealed[-TAG_BYTES:]):
        raise WrongKey
    return bytes(a ^ b for a, b in zip(mixed, stream, strict=True))


def is_tagged(content: Mapping[str, Any], list_key: bytes) -> bool:
    """Whether an exported list's tag was made with this key, over the list's whole content."""
    said = {name: value for name, value in content.items() if name != "tag"}
    text = json.dumps(said, sort_keys=True).encode()
    tag = blake2b(text, key=list_key, digest_size=TAG_BYTES).hexdigest()
    return secrets.compare_digest(tag.encode(), str(content.get("tag")).encode())
