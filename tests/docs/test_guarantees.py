"""The table of promises in ``docs/guarantees.md``: each names a test that exists, runs in ``make test``, and is not skipped.

A row whose test runs in ``make soak`` alone has to say so.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
FEWEST = 57
NOT_RUN = ("skip", "skipif", "xfail")


class Promise(NamedTuple):
    """A row of the table: what is promised, and the tests that hold it."""

    text: str
    tests: list[tuple[str, str]]


def promises() -> list[Promise]:
    rows = [
        line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line[:2] == "| "
    ]
    return [Promise(row[0], TEST.findall(row[-1])) for row in rows[2:]]


@cache
def marks_in(path: str) -> dict[str, list[str]]:
    """By the name of each test of a file, the markers on it and on the whole file."""
    tree = ast.parse((ROOT / path).read_text())
    whole = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    return {
        node.name: whole + [ast.unparse(mark) for mark in node.decorator_list]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


PROMISES = promises()
NAMED = sorted({test for promise in PROMISES for test in promise.tests})


def test_the_table_says_what_it_promises_and_no_promise_twice() -> None:
    assert len(PROMISES) >= FEWEST
    texts = [promise.text for promise in PROMISES]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.text[:60])
def test_a_promise_names_the_test_that_holds_it(promise: Promise) -> None:
    assert promise.text
    assert promise.tests, f"no test holds: {promise.text}"


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists_and_runs_where_the_table_says(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"docs/guarantees.md names {path}, which does not exist"
    assert name in marks_in(path), f"docs/guarantees.md names {name}, which is not in {path}"
    marks = " ".join(marks_in(path)[name])
    assert not re.search(rf"\b({'|'.join(NOT_RUN)})\b", marks), f"{name} does not always run"
    if re.search(r"\bsoak\b", marks):
        said = [promise.text for promise in PROMISES if (path, name) in promise.tests]
        assert all("make soak" in text for text in said), f"{name} runs in make soak alone"
