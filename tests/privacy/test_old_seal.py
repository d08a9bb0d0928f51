"""What an earlier version sealed is read under its own key alone."""

from __future__ import annotations

import json
from hashlib import blake2b

import pytest

from dagster_project.privacy import old_seal
from dagster_project.text.pseudonyms import sub_key
from dagster_project.text.sealing import WrongKey

SECRET, OTHER = "a key of the tests, long enough", "another key of the tests, long enough"
MASTER = bytes(range(32))


def sealed(secret: str) -> bytes:
    nonce = b"n" * old_seal.NONCE_BYTES
    stream = blake2b(nonce, key=sub_key(secret, "seal"), digest_size=32).digest()
    mixed = bytes(a ^ b for a, b in zip(MASTER, stream, strict=True))
    key = sub_key(secret, "seal tag")
    tag = blake2b(nonce + mixed, key=key, digest_size=old_seal.TAG_BYTES).digest()
    return nonce + mixed + tag


def test_the_key_comes_back_under_its_secret_alone() -> None:
    assert len(sealed(SECRET)) == old_seal.SEALED_BYTES
    assert old_seal.unseal(sealed(SECRET), SECRET) == MASTER
    with pytest.raises(WrongKey):
        old_seal.unseal(sealed(SECRET), OTHER)


@pytest.mark.parametrize("place", [0, 20, 60])
def test_a_key_that_was_changed_anywhere_is_not_read(place: int) -> None:
    spoiled = bytearray(sealed(SECRET))
    spoiled[place] ^= 1
    with pytest.raises(WrongKey):
        old_seal.unseal(bytes(spoiled), SECRET)


def test_a_tag_covers_all_that_a_list_says() -> None:
    said = {"numbers": [["aa", None]], "sealed_key": "bb"}
    text = json.dumps(said, sort_keys=True).encode()
    tag = blake2b(text, key=MASTER, digest_size=old_seal.TAG_BYTES).hexdigest()
    assert old_seal.is_tagged({**said, "tag": tag}, MASTER)
    assert not old_seal.is_tagged({**said, "numbers": [], "tag": tag}, MASTER)
    assert not old_seal.is_tagged({**said, "tag": tag}, bytes(32))
    assert not old_seal.is_tagged(said, MASTER)
