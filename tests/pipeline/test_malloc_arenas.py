"""The C library keeps few arenas; another library than glibc is left alone."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from dagster_project.pipeline import malloc_arenas


class Library:
    def __init__(self) -> None:
        self.calls: dict[int, int] = {}

    def mallopt(self, option: int, value: int) -> int:
        self.calls[option] = value
        return 1


def test_arenas_and_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    malloc_arenas.limit_malloc_arenas()
    assert library.calls == {
        malloc_arenas.M_ARENA_MAX: 2,
        malloc_arenas.M_MMAP_THRESHOLD: 128 * 1024,
        malloc_arenas.M_TRIM_THRESHOLD: 128 * 1024,
    }


@pytest.mark.parametrize("error", [AttributeError, OSError])
def test_another_library_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def missing(name: Any) -> Any:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    malloc_arenas.limit_malloc_arenas()
