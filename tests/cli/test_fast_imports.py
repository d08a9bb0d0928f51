"""Imports without collections: what they made is not looked at again, all else is as before."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.cli.fast_imports import gc_paused


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
