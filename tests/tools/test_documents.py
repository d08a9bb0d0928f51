"""No generated page lags behind what it is made from; one command writes them all."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from dagster_project.warehouse.connection import Warehouse
from tools import documents
from tools.documents import DOCS, GENERATED, PAGES

LAGS = "run `make docs`"


def test_no_page_but_these_says_that_it_is_generated() -> None:
    saying = {page.name for page in DOCS.glob("*.md") if GENERATED in page.read_text()}
    assert saying == {name for name in PAGES if name.endswith(".md")}


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"data-dictionary.md"}))
def test_a_page_does_not_lag_behind_the_code(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), LAGS


def test_the_dictionary_does_not_lag_behind_the_database(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        page = documents.dictionary_page(connection)
    assert (DOCS / "data-dictionary.md").read_text() == page, LAGS


def test_every_command_and_option_is_on_the_page() -> None:
    page = documents.cli_page()
    for name, command in documents.command.commands.items():
        _, _, section = page.partition(f"\n## `warehouse {name}`\n")
        section = section.partition("\n## ")[0]
        assert section, name
        for option in (param for param in command.params if isinstance(param, click.Option)):
            assert f"`{option.opts[0]}" in section, f"{name} {option.opts[0]}"


@pytest.fixture
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pages elsewhere: one as it should be, one that lags, one that is absent."""
    made = {name: f"{name}, anew\n" for name in ("a.md", "b.md", "c.md")}
    monkeypatch.setattr(documents, "DOCS", tmp_path)
    monkeypatch.setattr(
        documents, "PAGES", {name: (lambda text=text: text) for name, text in made.items()}
    )
    (tmp_path / "a.md").write_text(made["a.md"])
    (tmp_path / "b.md").write_text("of yesterday\n")
    return tmp_path


def test_what_lags_is_named_and_written_anew(
    in_a_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert documents.main(["--check"]) == 1
    assert re.findall(r"docs/(\w\.md) lags", capsys.readouterr().out) == ["b.md", "c.md"]
    assert (in_a_folder / "b.md").read_text() == "of yesterday\n"
    assert documents.main([]) == 0
    assert {page.name: page.read_text() for page in in_a_folder.iterdir()} == {
        name: f"{name}, anew\n" for name in ("a.md", "b.md", "c.md")
    }
    assert documents.main(["--check"]) == 0
