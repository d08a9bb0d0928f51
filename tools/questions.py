"""``docs/questions.md``: the answers below its queries, from a demo whose clock stands at one moment.

    python -m tools.questions            # writes the answers anew
    python -m tools.questions --check    # writes nothing; exit status 1 where an answer lags

Grain: a query is a block of SQL, and its answer the table below it. The demo is loaded into a folder that is thrown
away, as of ``MOMENT``, with the price list of the page; queries run as ``warehouse_bi``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.server import embedded
from tools.locks import ROOT

PAGE = ROOT / "docs" / "questions.md"
MOMENT = datetime(2026, 6, 30, 12, tzinfo=UTC)
PROGRAM = Path(sys.executable).with_name("warehouse")
QUERY = re.compile(
    r"```sql\n(?P<sql>SELECT\b.*?|WITH\b.*?)\n```\n\n(?P<answer>(?:\|[^\n]*\n)*)", re.DOTALL
)
PRICE_LIST = re.compile(r"```csv\n(vendor,account,country,.*?\n)```", re.DOTALL)


@dataclass(frozen=True)
class Demo:
    """A demo in a folder of its own, whose clock stands at ``MOMENT``."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home-demo"

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse.on_server(embedded.ensure_running(self.home))

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> str:
        """What ``warehouse`` writes with these arguments; it has to end well."""
        environment = {
            **os.environ,
            "WAREHOUSE_HOME": str(self.root / "home"),
            "WAREHOUSE_CLOCK_FILE": str(self.root / "shift"),
        }
        done = subprocess.run(
            [PROGRAM, *arguments], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return done.stdout + done.stderr


@contextmanager
def demo() -> Iterator[tuple[Demo, str]]:
    """The demo as of ``MOMENT``, priced, on a server of its own, and what its first load wrote."""
    with tempfile.TemporaryDirectory(prefix="warehouse-questions-") as folder:
        root = Path(folder).resolve()
        root.chmod(0o711)  # under root Postgres runs as another user, who passes through
        made = Demo(root)
        made.home.mkdir(mode=0o700)
        made.write("home-demo/demo.json", json.dumps({"clock": MOMENT.isoformat()}))
        made.write("shift", str((MOMENT - datetime.now(UTC)).total_seconds()))
        try:
            said = made.run("demo")
            match = PRICE_LIST.search(PAGE.read_text(encoding="utf-8"))
            assert match is not None, "the page has a price list"
            made.write("prices.csv", match[1])
            made.run("--demo", "labels", str(root / "prices.csv"))
            yield made, said
        finally:
            embedded.stop(made.home)


def answered(page: str, warehouse: Warehouse) -> str:
    """The page with the answers that its queries have now."""
    password = warehouse.logins["warehouse_bi"].get_secret_value()
    place: dict[str, Any] = {**warehouse.place, "user": "warehouse_bi", "password": password}
    with psycopg.connect(**place, autocommit=True) as connection:

        def ask(match: re.Match[str]) -> str:
            return f"```sql\n{match['sql']}\n```\n\n{_answer(connection, match['sql'])}"

        return QUERY.sub(ask, page)


def _answer(connection: psycopg.Connection[Any], query: str) -> str:
    cursor = connection.execute(query.encode())
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    rows = cursor.fetchall() or [["none", *[""] * (len(names) - 1)]]
    lines = [names, ["---"] * len(names), *[[_shown(cell) for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.questions")
    parser.add_argument("--check", action="store_true", help="write nothing, end with 1 instead")
    is_check = parser.parse_args(arguments).check
    page = PAGE.read_text(encoding="utf-8")
    with demo() as (made, _):
        text = answered(page, made.warehouse)
    if text != page and not is_check:
        PAGE.write_text(text, encoding="utf-8")
    return int(is_check and text != page)


if __name__ == "__main__":
    sys.exit(main())
