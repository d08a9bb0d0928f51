"""The ``warehouse`` command without its verbs, and how a verb is declared."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from dagster_project.pipeline.fast_imports import gc_paused


def _configure_logs() -> None:
    with gc_paused():
        from dagster_project.monitoring.logs import configure_logs

    configure_logs()


class Verb(click.Command):
    """A command of the program. Logs are configured where it runs: help needs no settings."""

    def invoke(self, ctx: click.Context) -> Any:
        _configure_logs()
        return super().invoke(ctx)


class Program(click.Group):
    command_class = Verb


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--demo", is_flag=True, help="Work on the demo's warehouse, against the bundled vendor sandbox."
)
@click.version_option(package_name="messaging-warehouse")
@click.pass_context
def warehouse(context: click.Context, demo: bool) -> None:
    """Daily statistics of messaging vendors in Postgres, run by Dagster."""
    # Whatever this program and those that it starts write is its user's alone.
    before = os.umask(0o077)
    context.call_on_close(lambda: os.umask(before))
    if demo and context.invoked_subcommand != "demo":
        # Before the demo's settings take the place of the environment's.
        _configure_logs()
        from dagster_project.cli import demo as demo_command

        context.with_resource(demo_command.demo_environment())


Declaration = Callable[[], None]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def verb(
    *parameters: Decorator, module: str | None = None, **settings: Any
) -> Callable[[Declaration], click.Command]:
    """Declare a verb: the decorated function has its name and its help, and no body.

    Its body is the function of the same name in a module of this folder, which has that name too unless
    ``module`` names another. It is imported when the verb is called: help needs none of it.
    """

    def declare(declaration: Declaration) -> click.Command:
        name = declaration.__name__

        def call(**options: Any) -> Any:
            with gc_paused():
                body = getattr(import_module(f"{__package__}.{module or name}"), name)
            return body(**options)

        command: Callable[..., Any] = call
        for parameter in reversed(parameters):
            command = parameter(command)
        settings.setdefault("name", name)
        return warehouse.command(help=declaration.__doc__, **settings)(command)

    return declare
