"""The README is short, begins with what a newcomer types, and leads to every page."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS, README, links

TEXT = README.read_text()
MOST_LINES = 150


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= MOST_LINES


def test_its_first_commands_are_the_demo_and_the_tests() -> None:
    block = re.search(r"```\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    assert [line.split("#")[0].strip() for line in block[1].splitlines()] == [
        "make demo",
        "make test",
    ]


def test_it_shows_a_picture() -> None:
    pictures = re.findall(r"!\[[^]]+\]\((docs/[^)]+\.png)\)", TEXT)
    assert pictures
    for picture in pictures:
        head = (README.parent / picture).read_bytes()[:8]
        assert head == b"\x89PNG\r\n\x1a\n", picture


def test_it_leads_to_every_page() -> None:
    reached = {path for path, _ in links(README)}
    assert {page for page in DOCS.glob("*.md") if page not in reached} == set()
