"""``ops.manual_act``: what people did by hand: who, where, when and which verb; never whom it was about."""

from __future__ import annotations

import os
import pwd
import socket

from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.queries import fetch_value


def note_act(
    connection: Connection, verb: str, about: str | None = None, run_id: str | None = None
) -> int:
    """Note an act in the caller's transaction; return its number. ``about`` holds no personal data."""
    return int(
        fetch_value(
            connection,
            "INSERT INTO ops.manual_act (verb, about, run_id, os_user, host, code_version)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING act_id",
            (verb, about, run_id, os_user(), socket.gethostname(), CODE_VERSION),
        )
    )


def os_user() -> str:
    """The operating system's user (its number if it has no name), and who became it by ``sudo``."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    before = os.environ.get("SUDO_USER")
    return f"{name} (sudo by {before})" if before and before != name else name
