"""The ``warehouse`` command's entry point.

Exit status: 0 done, 1 some window failed (the rest is loaded) or, of ``status``, something is red, 2 wrong
usage or settings, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import sys
from typing import NoReturn

import click

from dagster_project.cli import privacy_verbs, verbs  # noqa: F401 - they declare them
from dagster_project.cli.program import warehouse
from dagster_project.errors import WarehouseError


def main(arguments: list[str] | None = None) -> None:
    """Entry point: turns errors into one line and an exit status."""
    # What stands when the process ends is not searched for garbage once more.
    atexit.register(gc.freeze)
    try:
        status = warehouse.main(args=arguments, prog_name="warehouse", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except WarehouseError as error:
        _end_with(error)
    except Exception as error:
        from dagster_project.warehouse.pg_errors import database_failure

        failure = database_failure(error)
        if failure is None:
            raise
        _end_with(failure)
    sys.exit(status if isinstance(status, int) else 0)


def _end_with(error: WarehouseError) -> NoReturn:
    click.echo(f"warehouse: {error}", err=True)
    sys.exit(error.exit_status)
