"""The locked dependencies and the project itself, installed into the environment of this Python.

By uv, which downloads and unpacks many packages at once: the one on PATH, or the one of the lock, which pip
installs first. By pip alone where uv fails. Only modules that get imported are compiled beforehand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
QUIET = ("--quiet", "--quiet")
HASHED = ("--require-hashes", "-r")
PROJECT = ("--no-build-isolation", "--no-deps", "-e", str(ROOT))
NOT_IMPORTED = (
    r"site-packages/(.*/)?(tests|geodata|carrierdata|lexers|mypy|mypyc|pip|setuptools|uv)/"
)
PIN = re.compile(r"^\S+==", re.MULTILINE)
LOG_EVERY_SECONDS = 10.0
UV_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
"""What uv has to be told of pip's configuration, which it does not read."""


def install(python: str, uv: str | None) -> None:
    """
    Raises:
        CalledProcessError: pip could not do it either, and has said why.
    """
    pip = (python, "-m", "pip")
    with Progress("uv installs them"):
        is_installed = _installed_by_uv(pip, python, uv)
    if not is_installed:
        print("uv could not install them: pip does (a few minutes)", file=sys.stderr)
        options = ("--no-compile", "--disable-pip-version-check", "--progress-bar", "off")
        with Progress("pip") as progress:
            _run_pip([*pip, "install", *options, *HASHED, str(LOCK)], progress)
            _run_pip([*pip, "install", *options, *PROJECT], progress)


class Progress:
    """Says how far it is and for how long, in one line of a terminal, or a line now and then in a log."""

    def __init__(self, text: str, every: float | None = None) -> None:
        self.text = text
        self._is_terminal = sys.stderr.isatty()
        self._every = every or (1.0 if self._is_terminal else LOG_EVERY_SECONDS)
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._beside = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Progress:
        self._beside.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._beside.join()
        if self._is_terminal:
            print(file=sys.stderr)

    def _tell(self) -> None:
        while not self._ended.wait(self._every):
            line = f"  {self.text}, {time.monotonic() - self._began:.0f} s"
            if self._is_terminal:
                print(f"\r{line:<79}", end="", file=sys.stderr, flush=True)
            else:
                print(line, file=sys.stderr, flush=True)


def _run_pip(command: Sequence[str], progress: Progress) -> None:
    """
    Raises:
        CalledProcessError: it ended badly, and has said why on standard error.
    """
    packages, fetched = len(PIN.findall(LOCK.read_text())), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            if line.startswith("Collecting "):
                fetched += 1
                progress.text = f"pip: {fetched} of {packages} packages fetched"
            elif line.startswith("Installing collected"):
                progress.text = f"pip: unpacking {packages} packages"
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, list(command))


def _installed_by_uv(pip: Sequence[str], python: str, uv: str | None) -> bool:
    uv = uv or _uv_of_lock(pip)
    if uv is None:
        return False
    command = (uv, "pip", "install", *QUIET, "--python", python)
    environment = {**uv_settings(pip), **os.environ}
    for arguments in ((*HASHED, str(LOCK)), PROJECT):
        if subprocess.run([*command, *arguments], env=environment, check=False).returncode:
            return False
    return True


def _uv_of_lock(pip: Sequence[str]) -> str | None:
    """Where pip put it; nowhere, for example where the index has no wheel for this machine."""
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write(entry_of(LOCK.read_text(), "uv"))
        lock.flush()
        options = (*QUIET, "--no-compile", "--disable-pip-version-check", "--only-binary", ":all:")
        subprocess.run([*pip, "install", *options, *HASHED, lock.name], check=False)
    return shutil.which("uv", path=str(Path(sys.executable).parent))


def entry_of(lock: str, package: str) -> str:
    """The pin of one package, with its hashes."""
    found = re.search(rf"^{re.escape(package)}==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"{package} is not in the lock")
    return found[0]


def uv_settings(pip: Sequence[str]) -> dict[str, str]:
    """The index and the certificates that pip is configured with."""
    done = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    configured = dict(re.findall(r"^\S*\.([\w-]+)='(.*)'$", done.stdout, re.MULTILINE))
    return {ours: configured[name] for name, ours in UV_SETTINGS.items() if name in configured}


def compile_what_is_imported() -> None:
    """Beforehand and on every processor: a process that may not write bytecode would do it each time."""
    folder = sysconfig.get_path("purelib")
    arguments = ("-q", "-j", "0", "-x", NOT_IMPORTED, folder)
    subprocess.run([sys.executable, "-m", "compileall", *arguments], check=False)


if __name__ == "__main__":
    install(sys.executable, shutil.which("uv"))
    with Progress("compiling what is imported"):
        compile_what_is_imported()
