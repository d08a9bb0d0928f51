"""Dagster's storage in Postgres, without ``NOTIFY``.

Dagster notifies at each event it writes, for versions of itself that are long gone; nothing listens.
The server has one queue for the notifications of all its databases, which any login can fill: one
session that listens and does not read is enough. No event could be written then, and every run would
die of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log import EventLogStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Connection, event, text
from sqlalchemy.sql.elements import TextClause


class SilentEventLog(PostgresEventLogStorage):
    """Dagster's event log, whose connections leave notifications out."""

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with super()._connect() as connection:
            event.listen(connection, "before_execute", _leave_out_notify, retval=True)
            yield connection


def _leave_out_notify(
    connection: Connection, statement: Any, several: Any, values: Any, options: Any
) -> tuple[Any, Any, Any]:
    if isinstance(statement, TextClause) and statement.text.startswith("NOTIFY "):
        return text("SELECT 1"), [], {}
    return statement, several, values


class SilentPostgresStorage(DagsterPostgresStorage):
    """``DagsterPostgresStorage`` with such an event log; configured as that is."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._events = SilentEventLog(postgres_url, should_autocreate_tables)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> SilentPostgresStorage:
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
        )

    @property
    def event_log_storage(self) -> EventLogStorage:
        return self._events
