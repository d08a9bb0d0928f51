"""Patterns mean the same on every Python that the project runs on.

Until 3.11.5 a possessive group ((?:…)*+) kept what its last, failing round had taken. An atomic one around a
greedy group does not; a possessive class ([…]*+) never did.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import dagster_project

FILES = sorted(Path(dagster_project.__file__).parent.rglob("*.py"))
POSSESSIVE_GROUP = re.compile(r"(?<![\\(])\)(?:[*+?]|\{\{?[^{}]*\}?\})\+")


def texts(file: Path) -> list[str]:
    """What is given to ``re.compile`` and what stands in capitals as a part of it, as it is written."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        compiled = isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"
        if compiled or isinstance(node, ast.AnnAssign | ast.Assign):
            parts = [
                part for part in ast.walk(node) if isinstance(part, ast.JoinedStr | ast.Constant)
            ]
            found += [ast.unparse(part) for part in parts]
    return found


def test_a_possessive_group_would_be_found() -> None:
    assert POSSESSIVE_GROUP.search(r"a(?:-a++)*+")
    assert POSSESSIVE_GROUP.search(r"(?:ab){{1,8}}+")
    assert not POSSESSIVE_GROUP.search(r"[a-z]*+(?>(?:-a++)*)\)++")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_pattern_has_a_possessive_group(file: Path) -> None:
    if "re.compile" in file.read_text():
        assert [text for text in texts(file) if POSSESSIVE_GROUP.search(text)] == []
