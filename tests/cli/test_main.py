"""The command line: help on each verb, exit statuses, errors that name the way out."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from dagster_project.cli.main import main
from dagster_project.cli.main import warehouse as group
from dagster_project.pipeline import services


@dataclass(frozen=True)
class Done:
    """How a call of the command ended."""

    status: int
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """The command in this process, with no settings but those given."""
    for name in list(os.environ):
        if name.startswith(("WAREHOUSE_", "CALLTOUCH_", "TELLODY_", "TRUST_", "PII_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, **environment: str) -> Done:
        for name, value in {"WAREHOUSE_HOME": str(tmp_path / "home"), **environment}.items():
            monkeypatch.setenv(name, value)
        services.settings.cache_clear()
        services.warehouse.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, capsys.readouterr().err)

    yield call
    services.settings.cache_clear()
    services.warehouse.cache_clear()


@pytest.mark.parametrize("verb", sorted(group.commands))
def test_every_verb_explains_itself(verb: str) -> None:
    command = group.commands[verb]
    help_text = command.get_help(click.Context(command, info_name=verb))
    assert command.help
    assert "--help" in help_text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{verb} {parameter.opts[0]} has no help"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("backfill",), {}, "Missing option '--from'"),
        (("backfill", "--from", "1.4.2024", "--to", "2024-04-01"), {}, "is not a day"),
        (("backfill", "--source", "x", "--from", "2024-04-01", "--to", "2024-04-01"), {}, "'x'"),
        (
            ("backfill", "--from", "2024-04-01", "--to", "2024-04-01"),
            {},
            "no source has credentials",
        ),
        (
            ("backfill", "--source", "trust", "--from", "2024-04-01", "--to", "2024-04-01"),
            {},
            "TRUST_CLIENT_SECRET",
        ),
        (
            ("backfill", "--from", "2024-04-02", "--to", "2024-04-01"),
            {"CALLTOUCH_SITE_IDS": "1", "CALLTOUCH_ACCESS_TOKEN": "t"},
            "--to 2024-04-01 is before --from 2024-04-02",
        ),
        (
            ("backfill", "--from", "2024-04-01", "--to", "2224-04-01"),
            {"CALLTOUCH_SITE_IDS": "1", "CALLTOUCH_ACCESS_TOKEN": "t"},
            "has not ended in Europe/Moscow",
        ),
        (
            ("backfill", "--from", "2023-04-01", "--to", "2024-04-01"),
            {"CALLTOUCH_SITE_IDS": "1", "CALLTOUCH_ACCESS_TOKEN": "t"},
            "WAREHOUSE_START_DATE",
        ),
        (
            ("backfill", "--from", "2024-04-01", "--to", "2024-04-01", "--account", "2"),
            {"CALLTOUCH_SITE_IDS": "1", "CALLTOUCH_ACCESS_TOKEN": "t"},
            "no such account: 1 of 1 named. Way out: use one of 1.",
        ),
        (("status",), {"CALLTOUCH_SITE_IDS": "one"}, "CALLTOUCH_SITE_IDS"),
        (("status",), {"WAREHOUSE_URL": "postgresql://u:p@h/d"}, "PII_HASH_KEY"),
        (("status",), {"CALLTOUCH_TIMEZONE": "Moscow", "CALLTOUCH_SITE_IDS": "1",
                       "CALLTOUCH_ACCESS_TOKEN": "t"}, "CALLTOUCH_TIMEZONE"),
    ],
)  # fmt: skip
def test_wrong_usage_and_settings_exit_with_2_and_name_the_way_out(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    done = run(*arguments, **environment)
    assert done.status == 2, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "home").exists(), "nothing is started for a wrong call"


def test_an_unreachable_server_is_told_without_its_password(run: Run) -> None:
    done = run(
        "status",
        WAREHOUSE_URL="postgresql://someone:hunter2@127.0.0.1:1/warehouse",
        PII_HASH_KEY="a key of sixteen or more",
    )
    assert done.status == 1
    assert "127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stderr


def test_what_psql_is_given_goes_to_psql(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []

    def instead(**options: object) -> int:
        given.append(options)
        return 0

    monkeypatch.setattr("dagster_project.cli.server.psql", instead)
    assert run("psql", "-At", "--role", "postgres", "-c", "SELECT 1").status == 0
    assert given == [{"psql_arguments": ("-At", "-c", "SELECT 1"), "role": "postgres"}]


HEAVY = ("dagster", "pandas", "numpy", "pydantic", "psycopg", "requests", "sqlalchemy")
"""Each of them takes a tenth of a second or more."""


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], set(HEAVY)),
        (["-h"], set(HEAVY)),
        (["migrate", "--help"], set(HEAVY)),
        (["metrics", "--help"], set(HEAVY)),
        (["status", "--help"], {"dagster", "pandas"}),
        (["backfill", "--help"], {"dagster", "pandas"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_imports_nothing_that_it_does_not_need(arguments: list[str], heavy: set[str]) -> None:
    script = (
        "import sys; from dagster_project.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as ended: print('', sorted(sys.modules), ended.code, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *text, modules, code = done.stdout.splitlines()
    assert code == "0"
    assert text[0].startswith("Usage: warehouse")
    assert not heavy & set(ast.literal_eval(modules))
