"""Imports without collections: what they made is not looked at again, all else is as before."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.pipeline.fast_imports import gc_paused

WATCHED = ("pydantic", "dagster_project.feeds", "psycopg", "dagster_project.cli.status")
WATCH = """
import gc, json, sys

collecting = {}

class Finder:
    def find_spec(self, name, path=None, target=None):
        collecting[name] = gc.isenabled()

sys.meta_path.insert(0, Finder())
from dagster_project.cli.main import main
try:
    main(["status", "--source", "trust"])
finally:
    print(json.dumps(collecting))
"""


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that can be imported, once."""
    (tmp_path / "never_seen.py").write_text("assert not __import__('gc').isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "never_seen"
    sys.modules.pop("never_seen", None)


def test_nothing_is_collected_meanwhile_and_what_is_there_is_left_alone_later(module: str) -> None:
    with gc_paused():
        __import__(module)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_where_nothing_new_is_imported_garbage_stays_collectable() -> None:
    with gc_paused():
        import json  # noqa: F401
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError), gc_paused():
        __import__("no_such_module")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off(module: str) -> None:
    gc.disable()
    try:
        with gc_paused():
            __import__(module)
        assert not gc.isenabled()
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()


def test_a_verb_imports_settings_feeds_and_its_body_with_the_collector_off(tmp_path: Path) -> None:
    environment = {"PATH": "", "WAREHOUSE_HOME": str(tmp_path / "none"), "WAREHOUSE_ENV_FILE": ""}

    done = subprocess.run(
        [sys.executable, "-c", WATCH], capture_output=True, text=True, env=environment
    )

    assert done.returncode == 2, done.stderr  # there is no warehouse
    collecting = json.loads(done.stdout)
    assert {name: collecting[name] for name in WATCHED} == dict.fromkeys(WATCHED, False)


def test_a_code_location_is_loaded_with_the_collector_off() -> None:
    watched = WATCH.partition("from dagster_project.cli")[0] + (
        "import dagster_project.definitions\nprint(gc.isenabled(), json.dumps(collecting))\n"
    )
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    enabled_again, _, collecting = done.stdout.partition(" ")
    assert enabled_again == "True"
    names = ("dagster", "dagster_project.feeds", "dagster_project.orchestration.assets")
    assert {name: json.loads(collecting)[name] for name in names} == dict.fromkeys(names, False)


def test_nothing_is_searched_for_garbage_where_the_process_ends() -> None:
    at_its_end = (
        "import atexit, gc\n"
        "atexit.register(lambda: print('objects:', len(gc.get_objects())))\n"
        "from dagster_project.cli.main import main\n"
        "main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", at_its_end], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 100, done.stdout
