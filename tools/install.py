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
UV_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
"""What uv has to be told of pip's configuration, which it does not read."""


def install(python: str, uv: str | None) -> None:
    """
    Raises:
        CalledProcessError: pip could not do it either, and has said why.
    """
    pip = (python, "-m", "pip")
    if not _installed_by_uv(pip, python, uv):
        print("uv could not install them: pip does", file=sys.stderr)
        options = (*QUIET, "--no-compile", "--disable-pip-version-check")
        subprocess.run([*pip, "install", *options, *HASHED, str(LOCK)], check=True)
        subprocess.run([*pip, "install", *options, *PROJECT], check=True)


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
    compile_what_is_imported()
