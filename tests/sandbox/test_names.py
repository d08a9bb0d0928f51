"""The names of the demo: only for what stands, and found by a piece of the text."""

from __future__ import annotations

from dagster_project.sandbox.calltouch.names import TEMPLATES
from dagster_project.sandbox.calltouch.texts import SETS
from dagster_project.sandbox.names import accounts_csv, templates_csv


def test_only_accounts_that_stand_are_named() -> None:
    written = accounts_csv([("calltouch", "40101"), ("calltouch", "999"), ("trust", "11")])
    assert written.splitlines() == [
        "vendor,account,label",
        "calltouch,40101,Warm Home shop",
        "trust,11,Shop app",
    ]


def test_a_template_is_named_by_a_piece_of_its_text_and_once() -> None:
    shown = [("a", "Код для входа в личный кабинет: {code}"), ("b", "прочее")]
    written = templates_csv([*shown, *shown])
    assert written.splitlines() == [
        "template_id,label,category,campaign",
        "a,Patient account code,code,",
    ]


def test_every_played_text_has_exactly_one_name() -> None:
    texts = [template.text for texts in SETS.values() for template in texts]
    assert [sum(piece in text for piece, *_ in TEMPLATES) for text in texts] == [1] * len(texts)
