"""``make fleet``: the test over two hosts, in namespaces of its own. ``--times N`` repeats it.

The workers run from ``.venv-fleet``, which holds what the image holds. Everything, Postgres and
broker included, lives in one namespace of processes and of networks, and ends with this command.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv-fleet"
LOCK = ROOT / "docker" / "requirements.lock"
PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2"} | {
    "redis-server": "redis-server",
    "openssl": "openssl",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.fleet", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how many times in a row")
    times = parser.parse_args().times
    if os.geteuid() != 0:
        print("make fleet makes network namespaces: it needs root. Skipped.")
        return 0
    absent = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    if absent:
        print(f"make fleet needs these packages: apt-get install {' '.join(absent)}. Skipped.")
        return 0
    install()
    passed = 0
    for number in range(1, times + 1):
        status = one_time()
        passed += status == 0
        if times > 1:
            print(f"{number} of {times}: {passed} passed", flush=True)
    return 0 if passed == times else 1


def install() -> None:
    """The image's dependencies and this project, unless they are there."""
    stamp = VENV / ".installed"
    mark = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == mark:
        return
    print(f"installing the image's dependencies into {VENV.name} (a minute or two) …", flush=True)
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", "-e", str(ROOT)], check=True)
    stamp.write_text(mark)


def one_time() -> int:
    apart = ("unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child")
    test = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "--timeout",
        "1200",
        "tests/scenarios/fleet",
    )
    environment = {**os.environ, "WAREHOUSE_FLEET": "1"}
    status = subprocess.call([*apart, *test], cwd=ROOT, env=environment)
    if status not in (0, 1):
        print(f"\nthe test itself was ended: status {status}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
