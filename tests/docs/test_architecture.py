"""The page on architecture names what is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dagster_project"
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def steps() -> list[tuple[str, list[str], list[str]]]:
    """Of each step of the way of a page: its name, functions and files."""
    section = PAGE.split("## The way of a page of SMS")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+ [^|]+) \| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE)
    return [(name, re.findall("`([^`]+)`", f), re.findall("`([^`]+)`", p)) for name, f, p in rows]


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Functions, and methods with their class."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return frozenset(names)


def paths_of(files: list[str]) -> list[Path]:
    """A name without a folder stands in the folder of the file before it."""
    paths: list[Path] = []
    for file in files:
        paths.append(PACKAGE / file if "/" in file else paths[-1].parent / file)
    return paths


def test_a_page_passes_about_a_dozen_steps() -> None:
    assert [int(name.split()[0]) for name, *_ in steps()] == list(range(1, 15))


@pytest.mark.parametrize(("name", "functions", "files"), steps(), ids=lambda value: str(value)[:30])
def test_each_function_of_a_step_is_defined_in_the_steps_files(
    name: str, functions: list[str], files: list[str]
) -> None:
    paths = paths_of(files)
    assert functions, name
    for path in paths:
        assert set(functions) & defined_in(path), f"{name}: nothing of it is in {path.name}"
    defined = frozenset().union(*map(defined_in, paths))
    assert set(functions) <= defined, f"{name}: {set(functions) - defined}"


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", PAGE))
    assert len(named) > 20
    assert [file for file in sorted(named) if not (PACKAGE / file).exists()] == []


def test_each_module_of_the_pipeline_stands_in_its_row() -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `pipeline/` |")]
    modules = {file.stem for file in (PACKAGE / "pipeline").glob("*.py")} - {"__init__"}
    assert set(re.findall("`([a-z_]+)`", row)) == modules


def test_no_word_of_the_glossary_has_two_meanings() -> None:
    words = re.findall(r"^\| ([^|]+) \| ", PAGE.split("## Glossary")[1], re.MULTILINE)
    single = [word.strip() for words_of_row in words for word in words_of_row.split(",")]
    assert len(single) == len(set(single))
