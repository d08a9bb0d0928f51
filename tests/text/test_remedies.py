"""The commands that mend: worded in one module, and such as the command line understands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest

import dagster_project
from dagster_project.cli.main import warehouse
from dagster_project.text import remedies

PACKAGE = Path(dagster_project.__file__).parent
REMEDIES = Path(remedies.__file__)
MENDING = "backfill|replay|held|migrate|doctor|forget|rekey|logins|ui|stop"
COMMAND = re.compile(rf"\bwarehouse (?:{MENDING})\b|--accept-(?:shrink|rejects)\b|--accept-$")
HELP = {PACKAGE / "cli" / "options.py", PACKAGE / "config" / "sections.py"}
"""Declare options and settings, and say what they do."""
DAY, NEXT, LATER = date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 9)


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that may be shown to a person: all but docstrings."""
    tree = ast.parse(file.read_text())
    documented = {
        id(statement.value) for statement in ast.walk(tree) if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in documented:
            yield node.lineno, node.value


def test_no_other_module_words_a_command_that_mends() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {text}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file not in HELP | {REMEDIES} and "sandbox" not in file.relative_to(PACKAGE).parts
        for line, text in texts_of(file)
        if COMMAND.search(text)
    ]
    assert found == []


def parses(command: str) -> bool:
    words = command.split()
    assert words[0] == "warehouse"
    verb = warehouse.commands[words[1]]
    with verb.make_context(words[1], words[2:]) as context:
        return isinstance(context, click.Context)


@pytest.mark.parametrize("verb", ["backfill", "replay"])
@pytest.mark.parametrize("kinds", [(), ("shrink",), ("shrink", "rejects")])
def test_a_load_command_is_understood_by_the_command_line(
    verb: remedies.Verb, kinds: tuple[str, ...]
) -> None:
    command = remedies.load_command("calltouch", "101", DAY, NEXT, verb=verb, accept=kinds)
    assert parses(command)
    assert command.endswith(" ".join([f"--to {NEXT}", *remedies.accept_options(kinds)]))
    assert parses(remedies.spread_command("calltouch", "101", DAY, NEXT))


def test_every_command_that_is_worded_names_a_verb_that_exists() -> None:
    offered = [text for _, text in texts_of(REMEDIES) if re.search(r"(?:^|`)warehouse ", text)]
    named = {verb for text in offered for verb in re.findall(r"(?:^|`|: )warehouse ([a-z]+)", text)}
    assert len(offered) >= 10
    assert named <= set(warehouse.commands)


def test_taking_a_held_day_says_first_where_to_look() -> None:
    text = remedies.accept_hint("calltouch", "101", DAY, DAY, ["rejects"])
    look, take = text.index("warehouse held"), text.index("warehouse backfill")
    assert look < take
    assert text.endswith("--accept-rejects")


def test_days_that_are_apart_need_a_command_each() -> None:
    commands = remedies.load_commands("trust", None, [LATER, DAY, NEXT])
    assert commands == [
        f"warehouse backfill --source trust --from {DAY} --to {NEXT}",
        f"warehouse backfill --source trust --from {LATER} --to {LATER}",
    ]


def test_commands_of_neighbouring_days_are_joined_where_they_are_otherwise_equal() -> None:
    held = remedies.load_command("calltouch", "101", DAY, DAY, accept=["shrink"])
    held_next = remedies.load_command("calltouch", "101", NEXT, NEXT, accept=["shrink"])
    plain = remedies.load_command("calltouch", "101", NEXT, NEXT)
    of_other = remedies.load_command("calltouch", "102", NEXT, NEXT, accept=["shrink"])
    again = "re-execute the run in Dagster's UI"
    assert remedies.join_commands([held, plain, again, held_next, of_other, again]) == [
        remedies.load_command("calltouch", "101", DAY, NEXT, accept=["shrink"]),
        plain,
        again,
        of_other,
    ]
    replays = [remedies.load_command("trust", "7", d, d, verb="replay") for d in (NEXT, DAY)]
    assert remedies.join_commands(replays) == [
        remedies.load_command("trust", "7", DAY, NEXT, verb="replay")
    ]


def test_many_spans_of_days_are_told_short() -> None:
    days = [date(2024, 1, day) for day in range(1, 32, 2)]
    text = remedies.spans_text(days)
    assert text.startswith("2024-01-01, 2024-01-03")
    assert text.endswith("and 4 more days until 2024-01-31")
    assert remedies.spans_text([DAY, NEXT, LATER]) == f"{DAY}..{NEXT}, {LATER}"
