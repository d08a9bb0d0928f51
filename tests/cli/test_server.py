"""``warehouse psql`` on a server of one's own."""

from __future__ import annotations

import subprocess
import sys

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
