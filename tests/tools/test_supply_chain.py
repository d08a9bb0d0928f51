"""What the image is made of is listed from its lock; an audit that did not take place is a failed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.locks import ROOT, RUNTIME, read_lock
from tools.sbom import sbom

LOCK = """\
one==1.0 \\
    --hash=sha256:00
    # via messaging-warehouse (pyproject.toml)
two-parts[extra]==2.0 \\
    --hash=sha256:00
    # via
    #   -r docker/requirements.in
    #   one
of-windows==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
    # via one
"""
CLEAN = [
    {"name": "one", "version": "1.0", "vulns": []},
    {"name": "Two_Parts", "version": "2.0", "vulns": []},
]
FLAW = {"id": "PYSEC-1", "fix_versions": ["1.1"], "description": "…", "aliases": []}
SKIPPED = {"name": "one", "skip_reason": "the service cannot be reached"}


def audited(folder: Path, answer: str, status: int) -> tuple[int, str]:
    """What the audit makes of this answer of pip-audit."""
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "answer").write_text(answer)
    program = folder / "pip-audit"
    program.write_text(f'#!/bin/sh\ncat "{folder}/answer"\necho trouble >&2\nexit {status}\n')
    program.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-m", "tools.audit", str(folder / "requirements.lock")],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("packages", "status", "expected", "said"),
    [
        (CLEAN, 0, 0, "2 packages audited, 0 not, 0 vulnerabilities"),
        ([{**CLEAN[0], "vulns": [FLAW]}, CLEAN[1]], 1, 1, "one: PYSEC-1, mended in 1.1"),
        ([SKIPPED, CLEAN[1]], 0, 2, "one could not be audited: the service cannot be reached"),
        ([SKIPPED, {**CLEAN[1], "vulns": [FLAW]}], 1, 2, "two-parts: PYSEC-1"),
        (CLEAN[:1], 0, 2, "two-parts could not be audited: not in the answer"),
        ([], 0, 2, "0 packages audited, 2 not"),
    ],
)
def test_an_audit_counts_when_every_package_was_looked_up(
    tmp_path: Path, packages: list[dict[str, Any]], status: int, expected: int, said: str
) -> None:
    told = audited(tmp_path, json.dumps({"dependencies": packages, "fixes": []}), status)
    assert told[0] == expected
    assert said in told[1]


@pytest.mark.parametrize("answer", ["", "[]", "{}", "no JSON", '{"dependencies": null}'])
def test_an_answer_that_says_nothing_is_no_audit(tmp_path: Path, answer: str) -> None:
    status, said = audited(tmp_path, answer, 0)
    assert status == 2
    assert "could not be audited" in said


def test_the_list_of_the_images_packages_is_its_lock() -> None:
    document = json.loads(sbom(RUNTIME))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    pins = read_lock(RUNTIME)
    assert {c["purl"] for c in document["components"]} == {
        f"pkg:pypi/{pin.name}@{pin.version}" for pin in pins
    }
    assert len(pins) == RUNTIME.read_text().count("==") - RUNTIME.read_text().count("== '")
    asked = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    reached, ahead = set(), ["messaging-warehouse"]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += asked[name]
    assert reached == asked.keys(), "something asked for each"
