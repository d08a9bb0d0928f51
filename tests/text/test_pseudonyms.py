"""Pseudonyms: stable, of their key and purpose alone."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.text.pseudonyms import fingerprint, pseudonym, pseudonyms, sub_key

SECRET = "correct horse battery staple"


def test_a_pseudonym_never_changes() -> None:
    key = sub_key(SECRET, "recipient")

    assert pseudonym(key, b"+79209383654").hex() == "ffb3f2e22d81b9176159aa7d37abe075"


def test_a_pseudonym_is_keyed_blake2b() -> None:
    key = sub_key(SECRET, "recipient")

    assert pseudonym(key, b"x") == blake2b(b"x", key=key, digest_size=16).digest()


def test_each_purpose_and_each_secret_has_a_key_of_its_own() -> None:
    keys = {
        sub_key(secret, purpose)
        for secret in (SECRET, SECRET + " ", "")
        for purpose in ("recipient", "template", "fingerprint")
    }

    assert len(keys) == 9
    assert {len(key) for key in keys} == {32}


def test_a_fingerprint_tells_keys_apart_and_gives_no_key_away() -> None:
    mark = fingerprint(SECRET)

    assert mark != fingerprint(SECRET + " ")
    assert len(mark) == 16
    assert not any(mark in sub_key(SECRET, purpose).hex() for purpose in ("recipient", "template"))


def test_a_secret_of_any_characters_is_taken() -> None:
    assert len({fingerprint(secret) for secret in ("ключ", "key", "k" * 1000, "\udcff")}) == 4


@given(st.binary(min_size=1, max_size=64), st.lists(st.binary()))
def test_many_at_once_are_the_same_as_one_by_one(key: bytes, texts: list[bytes]) -> None:
    assert pseudonyms(key, texts) == [pseudonym(key, text) for text in texts]
