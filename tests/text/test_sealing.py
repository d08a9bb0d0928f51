"""Sealed texts: read under their own key alone, and only as they were sealed."""

from __future__ import annotations

import pytest

from dagster_project.text import sealing

KEY = sealing.derive_key(b"a secret that is long and random", "one purpose")
OTHER = sealing.derive_key(b"a secret that is long and random", "another purpose")


def test_a_text_comes_back_under_its_key_alone() -> None:
    sealed = sealing.seal("строка".encode(), KEY)
    assert sealing.unseal(sealed, KEY) == "строка".encode()
    assert sealed.isascii()
    assert "строка".encode() not in sealed
    with pytest.raises(sealing.WrongKey):
        sealing.unseal(sealed, OTHER)


def test_a_text_that_was_changed_is_not_read() -> None:
    sealed = bytearray(sealing.seal(b"text", KEY))
    sealed[len(sealed) // 2] ^= 1
    with pytest.raises(sealing.WrongKey):
        sealing.unseal(bytes(sealed), KEY)


def test_equal_texts_are_sealed_differently_each_time() -> None:
    assert sealing.seal(b"text", KEY) != sealing.seal(b"text", KEY)


def test_a_key_hangs_on_secret_purpose_and_salt() -> None:
    assert len(KEY) == len(OTHER) == sealing.KEY_BYTES
    assert KEY != OTHER
    assert sealing.derive_key(b"a secret that is long and random", "one purpose") == KEY
    salts = [bytes(sealing.SALT_BYTES), bytes(range(sealing.SALT_BYTES))]
    first, second = (
        sealing.derive_key_from_passphrase(b"chosen by a person", salt) for salt in salts
    )
    assert first != second
    assert sealing.derive_key_from_passphrase(b"chosen by a person", salts[0]) == first
