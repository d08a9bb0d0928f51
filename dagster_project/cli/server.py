"""``warehouse migrate``, ``stop``, ``psql`` and ``sandbox``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from datetime import datetime

import click

from dagster_project.cli.set_up import make_storage
from dagster_project.errors import SettingsError
from dagster_project.pipeline import services
from dagster_project.text import remedies
from dagster_project.warehouse.postgres_url import write_url
from dagster_project.warehouse.schema.dry_run import try_out
from dagster_project.warehouse.schema.migrate import migrate as apply_migrations
from dagster_project.warehouse.server import embedded
from dagster_project.warehouse.server.clients import clients_of
from dagster_project.warehouse.server.cluster import bundled_binaries


def migrate(*, dry_run: bool = False) -> int:
    """Apply what is pending, and say what was applied; ``dry_run``: what would be, and what that takes."""
    if dry_run:
        return _try_out()
    steps: list[str] = []

    def report(step: str) -> None:
        steps.append(step)
        click.echo(step)

    apply_migrations(services.warehouse(), report, storage=make_storage)
    if not steps:
        click.echo("nothing to do: the schema is up to date")
    return 0


def _try_out() -> int:
    settings = services.settings()
    if settings.embedded and not embedded.exists(settings.home):
        click.echo(f"would make the embedded Postgres in {settings.home}, and all in it")
        return 0
    steps = try_out(services.warehouse(), click.echo)
    for step in steps:
        for line in step.lines():
            click.echo(line)
    click.echo("nothing was changed" if steps else "nothing to do: the schema is up to date")
    return 0


def stop() -> int:
    """Stop the embedded server."""
    settings = services.settings()
    if not settings.embedded:
        raise SettingsError(
            "WAREHOUSE_URL names a server of somebody else; only the embedded one is stopped here."
        )
    port = embedded.port_of_running(settings.home)
    still_running = [] if port is None else clients_of(port, settings.home)
    click.echo("stopped" if embedded.stop(settings.home) else "it was not running")
    if still_running:
        click.echo("Still running, and without Postgres now:")
        for client in still_running:
            click.echo(f"  {client.name}, process {client.pid}")
        click.echo(remedies.AFTER_STOP)
    return 0


def psql(*, psql_arguments: Sequence[str], role: str | None) -> int:
    """Hand over to psql, signed in without a password in sight.

    On a server of your own: as the login of ``WAREHOUSE_URL``; psql asks for the password of another ``role``.
    """
    settings = services.settings()
    environment = dict(os.environ)
    if settings.embedded:
        services.refuse_absent()
        role = role or "warehouse_bi"
        environment["PGPASSFILE"] = str(settings.home / "secrets" / "pgpass")
    found = services.warehouse()
    if not settings.embedded and role in (None, found.admin.user):
        role = found.admin.user
        if found.admin.secret:
            environment["PGPASSWORD"] = found.admin.secret
    program = bundled_binaries() / "psql"
    url = write_url("postgresql", found.place, role, None, found.database)
    return subprocess.call([str(program), url, *psql_arguments], env=environment)


def sandbox(*, port: int, seed: int, clock: str) -> int:
    """Play the vendors until interrupted."""
    from dagster_project.sandbox.server import serve

    if clock != "now":
        try:
            datetime.fromisoformat(clock)
        except ValueError as error:
            raise SettingsError(
                f"--clock {clock!r} is no instant.", hint="write it as 2024-05-01T12:00:00+03:00"
            ) from error
    try:
        serve(port=port, seed=seed, clock=clock)
    except OSError as error:
        raise SettingsError(
            f"port {port} cannot be listened on ({error.strerror}).",
            hint="use --port 0 for a free one, or name another.",
        ) from error
    return 0
