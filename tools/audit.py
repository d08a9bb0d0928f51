"""The locks audited for known vulnerabilities, by pip-audit; what could not be audited is a failure.

    python -m tools.audit [LOCK]…

By itself pip-audit ends with status 0 where it reached no service and skipped every package. Exit status: 0
every package was looked up and none is vulnerable, 1 some is, 2 some could not be looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.locks import DEVELOPMENT, RUNTIME, normal, read_lock

SECONDS = 900
NOT_AUDITED = 2
PIP_AUDIT = ("pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner=off")


def main(locks: Sequence[Path]) -> int:
    return max(audit(lock) for lock in locks)


def audit(lock: Path) -> int:
    """The exit status for one lock; each finding is a line."""
    asked = {pin.name for pin in read_lock(lock) if pin.marker is None}
    report = _report(lock)
    if report is None:
        return NOT_AUDITED
    found = {normal(one["name"]): one for one in report}
    skipped = {name: one["skip_reason"] for name, one in found.items() if "skip_reason" in one}
    missing = dict.fromkeys(asked - found.keys(), "not in the answer") | skipped
    for name, reason in sorted(missing.items()):
        print(f"{lock.name}: {name} could not be audited: {reason}")
    vulnerable = [(name, v) for name, one in sorted(found.items()) for v in one.get("vulns", ())]
    for name, vulnerability in vulnerable:
        fixed = ", ".join(vulnerability.get("fix_versions", ())) or "no version"
        print(f"{lock.name}: {name}: {vulnerability['id']}, mended in {fixed}")
    print(
        f"{lock}: {len(found.keys() - missing.keys())} packages audited, {len(missing)} not,"
        f" {len(vulnerable)} vulnerabilities"
    )
    return NOT_AUDITED if missing else int(bool(vulnerable))


def _report(lock: Path) -> list[dict[str, Any]] | None:
    try:
        done = subprocess.run(
            [*PIP_AUDIT, "--format=json", f"--requirement={lock}"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        report: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        if not isinstance(report, list):
            raise TypeError
    except subprocess.TimeoutExpired:
        print(f"{lock.name}: could not be audited: no answer within {SECONDS} s")
        return None
    except OSError as error:
        print(f"{lock.name}: could not be audited: pip-audit: {error.strerror}")
        return None
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1]
        print(f"{lock.name}: could not be audited: {said}")
        return None
    return report


if __name__ == "__main__":
    sys.exit(main([Path(one) for one in sys.argv[1:]] or [RUNTIME, DEVELOPMENT]))
