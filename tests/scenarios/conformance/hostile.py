"""JSON that a vendor could send and would better not: texts, numbers and values of every kind.

Strategies answer JSON *text*, since what matters is lost by building values first: digits, escapes,
white space, keys that stand twice.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

NUL, LONE_HIGH, LONE_LOW = "\x00", "\ud83d", "\udc00"
LONE = re.compile("[\ud800-\udfff]")
ODD_CHARACTERS = st.sampled_from(
    [NUL, LONE_HIGH, LONE_LOW, "\ufeff", "\u2028", "😀", "\\", '"', "\x01", "\t", "\n", "\x7f", "'"]
)
ODD_TEXTS = st.sampled_from(
    [
        "",
        "'; DROP TABLE warehouse.calltouch_sms; --",
        "\\.",
        "\\N",
        "NULL",
        "%s %(x)s {0} $1",
        "NaN",
        "ё" * 300,
    ]
)
TEXTS = ODD_TEXTS | st.lists(
    ODD_CHARACTERS | st.characters(codec="utf-8") | st.sampled_from("абв 123"), max_size=12
).map("".join)
HUGE_TEXT = st.sampled_from(["x", "я", "😀", NUL, LONE_LOW]).map(lambda one: one * 1_000_000)

NUMBERS = st.sampled_from(
    [
        *("0", "-0", "1", "-1", "7", "1.0", "1.50", "1e2", "1E+2", "-2.5e-3"),
        *("2147483647", "2147483648", "-2147483649"),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808"),
        "0.1000000000000000055511151231257827",
        "123456789012345678901234567890.123456789012345678901234567890",
        *("1e308", "1E400", "-1e-400", "9" * 400, "9" * 5_000),
    ]
)
ENDLESS_NUMBERS = st.sampled_from(["1e999999", "1e-999999", "9" * 200_000])
SCALARS = NUMBERS | st.sampled_from(["null", "true", "false", "{}", "[]", '""'])


def write(text: str, *, escaped: bool) -> str:
    """A JSON text. Lone surrogates can only be written escaped; so can control characters."""
    if escaped or LONE.search(text):
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)


WRITTEN_TEXTS = st.builds(write, TEXTS, escaped=st.booleans())


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    pairs = st.lists(st.tuples(WRITTEN_TEXTS, inner), max_size=3)
    return lists | pairs.map(lambda items: "{" + ",".join(f"{k} : {v}" for k, v in items) + "}")


class Long(str):
    """A text that a report of a failure need not show whole."""

    def __repr__(self) -> str:
        return f"{self[:20]!r} … {len(self)} characters"


DEEP = Long("[" * 400 + "]" * 400)
TOO_DEEP = Long("[" * 20_000 + "]" * 20_000)
SHALLOW_VALUES = st.recursive(SCALARS | WRITTEN_TEXTS, _nested, max_leaves=6)
VALUES = SHALLOW_VALUES | st.sampled_from([DEEP, TOO_DEEP])


def object_of(fields: list[tuple[str, str]]) -> str:
    """Keys as they are, values as JSON text."""
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in fields) + "}"


def exactly(text: str) -> Any:
    """A JSON text decoded without a digit lost: numbers stay the characters that they were."""
    return json.loads(text, parse_int=str, parse_float=str, strict=False)
