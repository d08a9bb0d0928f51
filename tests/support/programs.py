"""Programs that tests run and that Python's packages do not bring, with the Debian package of each.

A test that needs one which is absent is skipped, and the end of the run says so; where ``CI`` is set it fails.
``python3 tests/support/programs.py`` prints the packages that are absent here: ``.ci/run`` installs them, before
there is a virtual environment, so this module needs the standard library alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping

POSTGRES_15 = "/usr/lib/postgresql/15/bin/postgres"
PACKAGES: Mapping[str, str] = {
    POSTGRES_15: "postgresql-15",
    "age": "age",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "ip": "iproute2",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "pgbouncer": "pgbouncer",
    "promtool": "prometheus",
    "shellcheck": "shellcheck",
    "systemd-analyze": "systemd",
    "tmux": "tmux",
    "unshare": "util-linux",
    "useradd": "passwd",
}
REASON = "Debian's package {} is not installed"


def need(*names: str) -> list[str]:
    """The paths of these programs; without one the test is skipped, or fails where ``CI`` is set."""
    import pytest

    for name in names:
        if find(name) is None:
            reason = f"{name}: {REASON.format(PACKAGES[name])}"
            if is_ci(os.environ):
                pytest.fail(f"{reason} (.ci/run installs it)", pytrace=False)
            pytest.skip(reason)
    return [str(find(name)) for name in names]


def find(name: str) -> str | None:
    """The path of a program, also of one that only root has on its path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def is_ci(environment: Mapping[str, str]) -> bool:
    return environment.get("CI", "").lower() not in ("", "0", "false", "no")


def absent_packages() -> list[str]:
    """What ``apt-get install`` has to be given here."""
    return sorted({package for name, package in PACKAGES.items() if find(name) is None})


def missed(reasons: Iterable[str]) -> dict[str, int]:
    """By package, how many of the tests that were skipped for these reasons it would have run."""
    counts: dict[str, int] = {}
    for reason in reasons:
        for package in sorted(set(PACKAGES.values())):
            if reason.endswith(REASON.format(package)):
                counts[package] = counts.get(package, 0) + 1
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    sys.stdout.write("".join(f"{package}\n" for package in absent_packages()))
