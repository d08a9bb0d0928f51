"""A real Chromium without a window, driven over WebDriver's own protocol."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.programs import need

ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1400,900"),
)
PATIENCE = 60.0
# The driver itself gives a page that loads 300 seconds.
ANSWERED = 320.0


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

    def until(self, true: Callable[[], Any], otherwise: str, patience: float = PATIENCE) -> Any:
        give_up = time.monotonic() + patience
        while not (found := true()):
            if time.monotonic() > give_up:
                text = self.run("return document.body.innerText")
                raise AssertionError(f"{otherwise}: {self.url}: {text}")
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
        return requests.request(method, f"{self._session}/{what}", json=body, timeout=ANSWERED)

    @staticmethod
    def _value(answer: requests.Response) -> Any:
        assert answer.ok, answer.text
        return answer.json()["value"]


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in this folder."""
    need("chromedriver", "chromium")
    said = folder / "chromedriver.txt"
    with said.open("w") as output:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=output, stderr=subprocess.DEVNULL
        )
    options = {"args": [*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]}
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    session = ""
    try:
        give_up = time.monotonic() + PATIENCE
        while not (listens := re.search(r"started successfully on port (\d+)", said.read_text())):
            assert driver.poll() is None, said.read_text()
            assert time.monotonic() < give_up, said.read_text()
            time.sleep(0.1)
        url = f"http://127.0.0.1:{listens[1]}/session"
        answer = requests.post(url, json=wanted, timeout=ANSWERED)
        assert answer.ok, answer.text
        session = f"{url}/{answer.json()['value']['sessionId']}"
        yield Browser(session)
    finally:
        if session:
            requests.delete(session, timeout=PATIENCE)
        driver.kill()
        driver.wait()
