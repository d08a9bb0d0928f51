"""A real Chromium without a window, driven over WebDriver's own protocol."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.conftest import free_port
from tests.support.programs import need

ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1400,900"),
)
PATIENCE = 60.0


class Browser:
    """One window. What it looks for it waits for."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        self._post("url", url=url)

    @property
    def url(self) -> str:
        return str(self._get("url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function of this body answers in the page; a promise is waited for."""
        return self._post("execute/sync", script=script, args=list(arguments))

    def click(self, text: str) -> None:
        """The first button of this text that can be clicked."""
        path = f"//button[normalize-space(.)={text!r} and not(@disabled)]"

        def clicked() -> bool:
            found = self._post("elements", using="xpath", value=path)
            if not found:
                return False
            [element] = found[0].values()
            return self._ask("POST", f"element/{element}/click", {}).ok

        self.until(clicked, f"no button {text!r}")

    def until(self, true: Callable[[], Any], otherwise: str) -> Any:
        give_up = time.monotonic() + PATIENCE
        while not (found := true()):
            text = self.run("return document.body.innerText")
            assert time.monotonic() < give_up, f"{otherwise}: {self.url}: {text}"
            time.sleep(0.2)
        return found

    def command(self, path: str, **body: Any) -> Any:
        """What the driver answers to a command of its own."""
        return self._post(path, **body)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._get("screenshot")))

    def _get(self, what: str) -> Any:
        return self._value(self._ask("GET", what))

    def _post(self, what: str, **body: Any) -> Any:
        return self._value(self._ask("POST", what, body))

    def _ask(self, method: str, what: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self._session}/{what}", json=body, timeout=PATIENCE)

    @staticmethod
    def _value(answer: requests.Response) -> Any:
        assert answer.ok, answer.text
        return answer.json()["value"]


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in this folder."""
    need("chromedriver", "chromium")
    port = free_port()
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    options = {"args": [*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]}
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    url = f"http://127.0.0.1:{port}/session"
    session = ""
    try:
        give_up = time.monotonic() + PATIENCE
        while not session:
            try:
                answer = requests.post(url, json=wanted, timeout=PATIENCE)
                assert answer.ok, answer.text
                session = f"{url}/{answer.json()['value']['sessionId']}"
            except requests.ConnectionError:
                assert time.monotonic() < give_up
                time.sleep(0.1)
        yield Browser(session)
    finally:
        if session:
            requests.delete(session, timeout=PATIENCE)
        driver.kill()
        driver.wait()
