"""Superset over the demo, and its dashboard in a real browser: what its tiles say, and what they were answered."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.conftest import free_port
from tests.support.browser import Browser

PROJECT = Path(__file__).resolve().parents[2]
BI = PROJECT / "bi"
PATIENCE = 300.0
# Keeps the rows that every chart is answered with.
LISTEN = """
window.answers = {};
const plain = window.fetch;
window.fetch = async (...wish) => {
  const answer = await plain(...wish);
  const url = decodeURIComponent(String(wish[0].url || wish[0]));
  const chart = url.match(/chart\\/data.*slice_id"?:(\\d+)/);
  if (chart) answer.clone().json().then(body => {
    if (body.result) window.answers[chart[1]] = body.result[0].data;
  });
  return answer;
};
"""


def import_bi(name: str) -> ModuleType:
    """A module of the folder ``bi``, which is no package."""
    if str(BI) not in sys.path:
        sys.path.insert(0, str(BI))
    return importlib.import_module(name)


@contextmanager
def serving(home: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Superset over the demo of this home: its address, and the administrator's password."""
    try:
        import_bi("start").install()
    except subprocess.CalledProcessError:
        pytest.skip("Superset cannot be installed here")
    said = folder / "superset.txt"
    with said.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, BI / "start.py", "--demo", "--port", str(free_port())],
            env={**os.environ, "WAREHOUSE_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        give_up = time.monotonic() + PATIENCE
        while not (
            found := re.search(r"password (\S+)[^$]*(http://127\.0\.0\.1:\d+)/", said.read_text())
        ):
            assert server.poll() is None, said.read_text()
            assert time.monotonic() < give_up, said.read_text()
            time.sleep(0.5)
        password, url = found.groups()
        while not _answers(url):
            assert time.monotonic() < give_up
            time.sleep(0.5)
        yield url, password
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=10).ok
    except requests.RequestException:
        return False


class Dashboard:
    """The dashboard in a browser that is signed in."""

    def __init__(self, browser: Browser, url: str, password: str) -> None:
        self.browser = browser
        self.url = url
        browser.command("goog/cdp/execute", cmd="Page.addScriptToEvaluateOnNewDocument",
                        params={"source": LISTEN})  # fmt: skip
        browser.open(f"{url}/login/")
        browser.until(
            lambda: browser.run(
                "return !!document.querySelector('form input[type=password], #password')"
            ),
            "no sign-in",
        )
        browser.run(
            "for (const [name, value] of [['username', 'admin'], ['password', arguments[0]]]) {"
            " const field = document.querySelector(`#${name}, input[name=${name}]`);"
            " Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, value);"
            " field.dispatchEvent(new Event('input', {bubbles: true})); }"
            "document.querySelector('form button[type=submit], form input[type=submit]').click();",
            password,
        )
        browser.until(lambda: "/login" not in browser.url, "not signed in")

    def open(self, filters: Mapping[str, Any]) -> None:
        """Show it with these filters (name to extra form data and value) and no default of theirs."""
        masks = ",".join(
            f"NATIVE_FILTER-{name}:(id:NATIVE_FILTER-{name},ownState:(),extraFormData:{extra},"
            f"filterState:(value:{value}))"
            for name, (extra, value) in filters.items()
        )
        wish = f"?native_filters=({quote(masks)})" if masks else ""
        self.browser.open(f"{self.url}/superset/dashboard/messaging/{wish}")
        self.settle()

    def go(self, tab: str) -> None:
        script = (
            "const tab = [...document.querySelectorAll('.ant-tabs-tab')]"
            ".find(each => each.innerText.trim() === arguments[0]);"
            "window.answers = {}; if (tab) tab.querySelector('[role=tab]').click(); return !!tab;"
        )
        self.browser.until(lambda: self.browser.run(script, tab), f"no tab {tab}")
        self.settle()

    def settle(self) -> None:
        """Wait until every tile of the tab has been answered and drawn, and stays so."""
        ready = (
            "const tab = [...document.querySelectorAll('.dashboard-grid')].find(each => each.offsetParent);"
            "if (!tab || !tab.querySelector('.chart-slice') || document.querySelector('.loading')) return null;"
            "return tab.innerText;"
        )
        seen: list[Any] = []

        def still() -> bool:
            seen.append(self.browser.run(ready))
            return len(seen) > 10 and seen[-1] is not None and len(set(seen[-10:])) == 1

        self.browser.until(still, "tiles are still loading")

    def figures(self) -> dict[str, str]:
        """What the tiles of one cell in the open tab say, by title."""
        script = (
            "const said = {};"
            "for (const tile of document.querySelectorAll('.chart-slice')) {"
            " if (!tile.offsetParent) continue;"
            " const cells = tile.querySelectorAll('tbody td');"
            " if (cells.length === 1) said[tile.querySelector('.header-title').innerText.trim()] = cells[0].innerText.trim(); }"
            "return said;"
        )
        return dict(self.browser.run(script))

    def answers(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that the browser was answered since the tab was opened, by tile's title."""
        script = (
            "const listed = await (await fetch('/api/v1/dashboard/messaging/charts')).json();"
            "return listed.result.map(each => [each.slice_name, window.answers[each.id] || null]);"
        )
        return {
            title: rows
            for title, rows in self.browser.run(f"return (async () => {{{script}}})()")
            if rows is not None
        }
