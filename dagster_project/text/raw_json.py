"""Raw slices of a JSON text: each value in the vendor's own characters.

A float would lose a price's digits, and a decoded object its spelling. So values for a ``json`` column,
originals of rejects and ``Decimal`` numbers are made from these slices. They have no white space around
them; nested values are checked only where necessary.

msgspec slices well-formed JSON. If it refuses (a lone surrogate, ``NaN``, a control character in a text,
nesting beyond its limit), a scan of brackets, texts and commas yields the same slices, so that one odd
record does not fail the whole page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
DEEPEST: Final = 500
"""The deepest nesting that is accepted: Postgres' own parser is limited by its stack."""
BEGINNINGS_TRIED: Final = 3

# No pattern matches a whole text: a text full of escapes would need a backtracking state for each.
_TOKENS = re.compile(rb'\\.|[]["{},:]', re.DOTALL)
_MARKS: Final = frozenset({b"[", b"]", b"{", b"}", b",", b":"})
_QUOTES = re.compile(rb'\\.|"', re.DOTALL)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_KINDS: Final = {
    b"{": "an object",
    b"[": "a list",
    b'"': "a text",
    b"n": "null",
    b"t": "a truth value",
    b"f": "a truth value",
}
_BLANK = b" \t\r\n"
_COUNT = re.compile(rb"0|[1-9][0-9]{0,18}")


class NotJson(ValueError):
    """The text is no object, or no array, by its brackets and texts. The message quotes nothing."""


def members(text: bytes) -> dict[str, bytes]:
    """The values of an object by key; of a repeated key, the last.

    Raises:
        NotJson: the text is no object, or does not end.
    """
    text = _strip(text)
    try:
        return {key: bytes(value) for key, value in _OBJECT.decode(text).items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return dict(map(_decode_key, _cut(text, b"{}")))


def read_count(value: bytes | None, largest: int) -> int | None:
    """Read a JSON integer from 0 to ``largest``, of at most 19 digits and without a sign; else None."""
    if value is None or not _COUNT.fullmatch(value) or int(value) > largest:
        return None
    return int(value)


def elements(text: bytes) -> list[bytes]:
    """The values of an array.

    Raises:
        NotJson: the text is no array, or does not end.
    """
    text = _strip(text)
    try:
        return [bytes(value) for value in _ARRAY.decode(text)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [value for _, value in _cut(text, b"[]")]


def is_json(text: bytes) -> bool:
    """Whether Postgres' ``json`` accepts it: well-formed, in UTF-8, not nested too deeply."""
    if _depth(text) > DEEPEST:
        return False
    try:
        json.loads(text.decode(), parse_constant=_refuse_constant, parse_int=str, parse_float=str)
    except ValueError:
        return False
    return True


def kind_of(slice_: bytes) -> str:
    """The kind of a value, in words."""
    return _KINDS.get(slice_[:1], "a number")


def is_whole(text: bytes) -> bool:
    """Whether a body is one whole JSON value of any kind."""
    try:
        _ANY.decode(_strip(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def has_longer_text(body: bytes, longest: int) -> bool:
    """Whether a text in the JSON, with its quotation marks, has more bytes; needs no memory itself."""
    start: int | None = None
    for token in _QUOTES.finditer(body):
        if start is None:
            if token[0].endswith(b'"'):
                start = token.end() - 1
        elif token[0] == b'"':
            if token.end() - start > longest:
                return True
            start = None
    return start is not None and len(body) - start > longest


def stray_text(body: bytes) -> str | None:
    """Where a whole JSON object has other text beside it: ``before`` or ``after``; None if it has none."""
    text = _strip(body)
    if text[:1] == b"{":
        try:
            _ANY.decode(text)
        except msgspec.DecodeError as error:
            return "after" if "trailing characters" in str(error) else None
        except (UnicodeDecodeError, RecursionError):
            return None
    if text[-1:] != b"}" or text[:9].lower().startswith((b"<!doctype", b"<html")):
        return None
    start = -1
    for _ in range(BEGINNINGS_TRIED):
        start = text.find(b'{"', start + 1)
        if start > 0 and is_whole(text[start:]):
            return "before"
    return None


def join_members(slices: Mapping[str, bytes]) -> bytes:
    """The slices as one object, each value in its own characters."""
    return b"{%s}" % b", ".join(
        b"%s: %s" % (json.dumps(key).encode(), value) for key, value in slices.items()
    )


def as_text(slice_: bytes) -> str:
    """A slice as text, for the original of a reject; bytes that are not UTF-8 are replaced."""
    return slice_.decode("utf-8", "replace")


def _strip(text: bytes) -> bytes:
    return text.removeprefix(BYTE_ORDER_MARK).strip(_BLANK)


def _decode_key(pair: tuple[bytes | None, bytes]) -> tuple[str, bytes]:
    key, value = pair
    if key is None:
        raise NotJson("a value without a key")
    try:
        name = json.loads(as_text(key), strict=False)
    except ValueError:
        name = None
    if not isinstance(name, str):
        raise NotJson("a key that is no text")
    return name, value


def _cut(text: bytes, brackets: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """Split at each comma between the outermost brackets, keys apart from their values."""
    if text[:1] != brackets[:1] or text[-1:] != brackets[1:]:
        raise NotJson("not what was looked for")
    key: bytes | None = None
    depth, start = 0, 1
    for mark, at in _marks(text):
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        if depth == 1 and mark == b":" and key is None:
            key, start = text[start:at].strip(_BLANK), at + 1
        elif (depth == 1 and mark == b",") or depth == 0:
            value = text[start:at].strip(_BLANK)
            if value or key is not None or mark == b",":
                yield key, _require_value(value)
            key, start = None, at + 1
        if depth == 0:
            break
    if depth or start != len(text):
        raise NotJson("brackets that do not match")


def _marks(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Brackets, colons and commas outside of texts, each with its position; a backslash is ignored there.

    Raises:
        NotJson: a text does not end.
    """
    in_text = False
    for token in _TOKENS.finditer(text):
        mark, at = token[0][-1:], token.end() - 1
        if in_text:
            in_text = token[0] != b'"'
        elif mark == b'"':
            in_text = True
        elif mark in _MARKS:
            yield mark, at
    if in_text:
        raise NotJson("a text that does not end")


def _require_value(value: bytes) -> bytes:
    if not value:
        raise NotJson("a value that is missing")
    return value


def _depth(text: bytes) -> int:
    depth = deepest = 0
    if text.count(b"[") + text.count(b"{") > DEEPEST:
        with suppress(NotJson):
            for mark, _ in _marks(text):
                depth += (mark in (b"[", b"{")) - (mark in (b"]", b"}"))
                deepest = max(deepest, depth)
    return deepest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
