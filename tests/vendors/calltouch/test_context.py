"""What is remembered from page to page changes how fast rows come out, never which."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.model.copy_binary import NULL, encode
from dagster_project.vendors.calltouch import context as module
from dagster_project.vendors.calltouch.context import (
    NO_TEXT,
    RowContext,
    count_unknown_pairs,
    template_id,
)
from dagster_project.vendors.calltouch.segments import segments_of

SECRET = "a key of the tests, long enough"
TEXTS = st.text(st.sampled_from("abЯ 0123/.:hts€🔥\n"), max_size=60) | st.builds(
    lambda name, path: f"Ссылка https://{name}.ru/{path} тут",
    st.text("abc", min_size=1, max_size=8),
    st.text("abc123", max_size=8),
)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_a_remembered_text_has_the_template_and_the_segments_of_the_text_itself(
    texts: list[str],
) -> None:
    context = RowContext.from_secret(SECRET)
    expected = [
        encode("uuid", template_id(text, context.templates.template_key))
        + encode("smallint", segments_of(text))
        for text in texts
    ]
    messages = [text.encode() for text in texts]
    assert context.templates.look_up(messages) == expected
    assert context.templates.look_up(messages) == expected, "the second time from memory"


def test_what_is_null_has_null_fields() -> None:
    context = RowContext.from_secret(SECRET)
    assert context.templates.look_up([NO_TEXT]) == [2 * NULL]
    assert context.phones[None] == (NULL, 4 * NULL)


def test_a_full_memory_forgets_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    context = RowContext.from_secret(SECRET)
    phones = [f"7926123456{digit}" for digit in range(8)]
    first = [context.phones[phone] for phone in phones]
    assert len(context.phones) <= 3
    assert [context.phones[phone] for phone in phones] == first


def test_a_long_phone_is_read_but_not_remembered() -> None:
    context = RowContext.from_secret(SECRET)
    long = "7" * (module.LONGEST_REMEMBERED + 1)
    assert context.phones[long]
    assert long not in context.phones


def test_equal_secrets_give_equal_pseudonyms_and_others_do_not() -> None:
    phone = "79261234567"
    assert (
        RowContext.from_secret(SECRET).phones[phone] == RowContext.from_secret(SECRET).phones[phone]
    )
    assert (
        RowContext.from_secret(SECRET).phones[phone]
        != RowContext.from_secret(SECRET + "!").phones[phone]
    )


def test_unknown_pairs_are_counted_with_masked_digits() -> None:
    counts: Counter[str] = Counter()
    count_unknown_pairs([("lost", None), ("lost", None), ("code 7", "x")], counts)
    assert counts == {"unknown_status:lost + null": 2, "unknown_status:code # + x": 1}
