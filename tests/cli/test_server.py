"""``warehouse psql`` on a server of one's own; ``warehouse sandbox`` on a port that is taken."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from dagster_project.cli.server import sandbox
from dagster_project.errors import SettingsError
from tests.support.operating import House

PROGRAM = "from dagster_project.cli.main import main; main()"


def test_psql_signs_in_as_the_login_of_the_url_and_shows_no_password(house: House) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "psql",
            "-At",
            "-c",
            "SELECT current_user, current_catalog",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{house.warehouse.admin.user}|{house.warehouse.database}\n"
    assert (house.warehouse.admin.secret or "?") not in done.stdout + done.stderr


def test_a_sandbox_on_a_port_that_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} cannot be listened on"):
            sandbox(port=port, seed=1, clock="now")
