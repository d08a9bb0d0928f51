"""The fingerprint of all that decides which rows the bytes of a response become, besides those bytes.

It covers this package's source, Python, the libraries that encoders use, ``PII_HASH_KEY``, and the account with
its time zone. Whatever changes in one of them changes the fingerprint, also if no row would differ: then rows
are encoded once more, as ever.
"""

from __future__ import annotations

import sys
import zoneinfo
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import psutil
import xxhash

from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.privacy import Rules
from dagster_project.model.window import Account, Window
from dagster_project.text import pseudonyms

PACKAGE: Final = Path(__file__).resolve().parents[1]
"""Resolved when the process begins: a link may point to another release later."""


@cache
def libraries() -> Mapping[str, str]:
    """The versions of Python and of the libraries that encoders use."""
    import phonenumbers  # loads slowly; only encoders of phone numbers need it

    return {
        "msgspec": msgspec.__version__,
        "numpy": np.__version__,
        "phonenumbers": phonenumbers.__version__,
        "python": sys.version,
        "xxhash": xxhash.VERSION,
    }


def encoding_of(feed: Feed, window: Window, rules: Rules, pii_key: str) -> str | None:
    """The fingerprint; None if it is not known, or if rows depend on more.

    Erased numbers need not enter it: they are taken out of the bytes.
    """
    is_reduced = feed.reduction is not None and window.first_day < rules.reduced_before
    if feed.query_scope is not QueryScope.RANGE or is_reduced:
        return None
    return _fingerprint(window.account, pseudonyms.fingerprint(pii_key))


@lru_cache(maxsize=1_024)
def _fingerprint(account: Account, key: str) -> str | None:
    source = read_source()
    if source is None:
        return None
    zone = account.time_zone.key
    parts = [source, _zone_rules(zone), repr((account.source, account.label, zone, key)).encode()]
    return blake2b(b"".join(blake2b(part).digest() for part in parts), digest_size=16).hexdigest()


@lru_cache(maxsize=8)
def read_source(package: Path = PACKAGE) -> bytes | None:
    """The digest of the code that runs; None if its files have changed since the process began."""
    began = psutil.Process().create_time()
    digest = blake2b(repr(libraries()).encode())
    try:
        for file in sorted(package.rglob("*.py")):
            if file.stat().st_ctime > began:
                return None
            code = file.read_bytes()
            digest.update(f"{file.relative_to(package)} {len(code)}\0".encode() + code)
    except OSError:
        return None
    return digest.digest()


def _zone_rules(zone: str) -> bytes:
    """The time zone's file, where ``zoneinfo`` finds it."""
    for folder in zoneinfo.TZPATH:
        file = Path(folder, zone)
        if file.is_file():
            return file.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
