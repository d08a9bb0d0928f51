"""The stack's files, read and made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.programs import need

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
VENDORS = {"calltouch_access_token", "tellody_username", "tellody_password"} | {
    "trust_client_id",
    "trust_client_secret",
}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of secrets, and what was told while it was made."""
    need("openssl")
    folder = tmp_path_factory.mktemp("secrets")
    done = subprocess.run(
        ["sh", str(DOCKER / "make-secrets"), str(folder), "warehouse.example.com"],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder, done.stdout
