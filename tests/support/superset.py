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

from tests.support.browser import Browser

PROJECT = Path(__file__).resolve().parents[2]
BI = PROJECT / "bi"
PATIENCE = 300.0
# What the page has still before it: requests, frames of an animation, timers that are due soon; and the rows with which
# every chart was answered last.
LISTEN = """
window.asked = {};
window.answers = {};
window.ahead = {requests: new Set(), frames: new Set(), timers: new Set()};
const plain = window.fetch;
window.fetch = async (...wish) => {
  const url = decodeURIComponent(String(wish[0].url || wish[0]));
  const [, chart] = url.match(/chart\\/data.*slice_id"?:(\\d+)/) || [];
  const mine = Symbol(url);
  window.ahead.requests.add(mine);
  if (chart) window.asked[chart] = mine;
  try {
    const answer = await plain(...wish);
    if (chart) {
      const body = await answer.clone().json().catch(() => ({}));
      const told = body.result ? {rows: body.result[0].data} : {failure: JSON.stringify(body)};
      if (window.asked[chart] === mine) window.answers[chart] = told;
    }
    return answer;
  } finally {
    window.ahead.requests.delete(mine);
  }
};
const frame = window.requestAnimationFrame, noFrame = window.cancelAnimationFrame;
window.requestAnimationFrame = draw => {
  const id = frame(time => { window.ahead.frames.delete(id); draw(time); });
  window.ahead.frames.add(id);
  return id;
};
window.cancelAnimationFrame = id => { window.ahead.frames.delete(id); noFrame(id); };
const timer = window.setTimeout, noTimer = window.clearTimeout;
window.setTimeout = (run, wait, ...more) => {
  if (typeof run !== 'function') return timer(run, wait, ...more);
  const id = timer(() => { window.ahead.timers.delete(id); run(...more); }, wait);
  if (!(wait > SOON)) window.ahead.timers.add(id);
  return id;
};
window.clearTimeout = id => { window.ahead.timers.delete(id); noTimer(id); };
""".replace("SOON", "2000")
# Null: all that the open tab shows has been answered and drawn, and nothing is ahead. Else what is waited for.
WAITS_FOR = """
const [wanted] = arguments;
const open = [...document.querySelectorAll('.ant-tabs-tab-active')].map(each => each.innerText.trim());
if (wanted && !open.includes(wanted)) return `the tab ${wanted}`;
const tiles = [...document.querySelectorAll('.chart-slice')].filter(each => each.offsetParent);
if (!tiles.length) return 'tiles';
for (const tile of tiles) {
  const told = window.answers[tile.dataset.testChartId];
  const name = tile.dataset.testChartName;
  if (!told) return `an answer for ${name}`;
  if (told.failure) return null;
  if (tile.querySelector('.loading') || !tile.querySelector('tbody, canvas, .ant-empty'))
    return `a picture of ${name}`;
}
if (document.querySelector('.loading')) return 'the page';
for (const [kind, left] of Object.entries(window.ahead)) if (left.size) return `${kind}: ${left.size}`;
return null;
"""
TILES = """
const said = {};
for (const tile of document.querySelectorAll('.chart-slice')) {
  if (!tile.offsetParent) continue;
  const cells = [...tile.querySelectorAll('tbody td')].map(each => each.innerText.trim());
  said[tile.dataset.testChartName] = {cells, ...window.answers[tile.dataset.testChartId]};
}
return said;
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
            [sys.executable, BI / "start.py", "--demo", "--port", "0"],
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
            "if (tab) tab.querySelector('[role=tab]').click(); return !!tab;"
        )
        self.browser.until(lambda: self.browser.run(script, tab), f"no tab {tab}")
        self.settle(tab)

    def refresh(self) -> None:
        """Have the tiles of the open tab asked for again, past Superset's memory of answers."""
        tab = self.browser.run(
            "window.answers = {}; const open = document.querySelector('.ant-tabs-tab-active');"
            "document.querySelector('[data-test=refresh-button]')"
            ".click(); return open.innerText.trim();"
        )
        self.settle(tab)

    def settle(self, tab: str = "") -> None:
        """Wait until every tile of the open tab has been answered and drawn, and nothing is ahead in the page."""
        seen: list[Any] = []

        def still() -> bool:
            seen.append(self.browser.run(WAITS_FOR, tab))
            return len(seen) > 2 and seen[-3:] == [None, None, None]

        try:
            self.browser.until(still, "tiles are still loading", PATIENCE)
        except AssertionError as error:
            error.add_note(f"the page waits for {seen[-1]}")
            raise
        failed = {
            name: told["failure"] for name, told in self._tiles().items() if "failure" in told
        }
        assert not failed, failed

    def _tiles(self) -> dict[str, Any]:
        return dict(self.browser.run(TILES))

    def figures(self) -> dict[str, str]:
        """What the tiles of one cell in the open tab say, by title."""
        told = self._tiles().items()
        return {name: tile["cells"][0] for name, tile in told if len(tile["cells"]) == 1}

    def answers(self) -> dict[str, list[dict[str, Any]]]:
        """The rows with which the tiles of the open tab were answered, by title."""
        return {name: tile["rows"] for name, tile in self._tiles().items()}
