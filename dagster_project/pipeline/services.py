"""What a process works on: its settings and its warehouse. One place, for assets and command line."""

from __future__ import annotations

import logging
from functools import cache, partial

from dagster_project.config.settings import Settings, load_settings
from dagster_project.errors import SettingsError
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.fitness import clock_warning, refuse_unfit
from dagster_project.warehouse.schema.migrate import MakeStorage, migrate, pending
from dagster_project.warehouse.server import embedded

log = logging.getLogger(__name__)


@cache
def settings() -> Settings:
    """The process's settings, read when first asked for."""
    return load_settings()


@cache
def warehouse() -> Warehouse:
    """The process's warehouse; starts the embedded server where it is one."""
    own = settings()
    if own.embedded and not embedded.exists(own.home):
        log.warning("making a new warehouse in %s", own.home)
    return Warehouse.open(own)


def ready_warehouse(make_storage: MakeStorage, report: Report = lambda line: None) -> Warehouse:
    """The process's warehouse with today's schema: the embedded one is migrated, another must be.

    ``make_storage`` is called only where Dagster's storage is behind: Dagster takes seconds to import.

    Raises:
        SettingsError: a server of somebody else waits for ``warehouse migrate``.
    """
    found = warehouse()
    if found.is_embedded:
        migrate(found, report, storage=partial(_renew_storage, make_storage))
    else:
        refuse_behind(found)
    return found


def current_warehouse() -> Warehouse:
    """The same for a command that only reads: a warehouse is neither made nor changed.

    Raises:
        SettingsError: there is none, or its schema waits for ``warehouse migrate``.
    """
    refuse_absent()
    found = warehouse()
    refuse_behind(found)
    return found


def refuse_absent() -> None:
    """See that the embedded warehouse was made, if it is the one.

    Raises:
        SettingsError: it was not; names the command that makes it.
    """
    if settings().embedded and not embedded.exists(settings().home):
        raise SettingsError(
            f"there is no warehouse in {settings().home} yet.", hint=remedies.MAKE_WAREHOUSE
        )


def refuse_behind(found: Warehouse) -> None:
    """
    Raises:
        SettingsError: the schema, or all of it, waits for ``warehouse migrate``.
    """
    if waiting := pending(found):
        raise SettingsError(
            f"the database's schema is behind by {pluralize(len(waiting), 'migration')}.",
            hint=remedies.MIGRATE,
        )


def _renew_storage(make_storage: MakeStorage, found: Warehouse, report: Report) -> None:
    if not found.storage.is_up_to_date():
        make_storage(found, report)


def refuse_unfit_server(connection: Connection) -> None:
    """
    Raises:
        SettingsError: the server takes no writes, or keeps no UTF-8. A clock that is off is told.
    """
    refuse_unfit(connection)
    if warning := clock_warning(connection):
        log.warning(warning)
