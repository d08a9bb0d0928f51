"""Dagster's storage: its database, and the URL by which Dagster's processes connect.

Dagster connects through SQLAlchemy and psycopg2; the URL's ``options`` have all settings of its sessions. A
comment on Alembic's table names the version of Dagster that the tables were last migrated for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import psycopg
from pydantic import SecretStr

from dagster_project.errors import MayNotConnect, SettingsError
from dagster_project.text import remedies
from dagster_project.text.scrub import remember_secret
from dagster_project.warehouse.opening import KEEPALIVES, open_session
from dagster_project.warehouse.postgres_url import read_url, write_url
from dagster_project.warehouse.session import ENCODING, dagster_options

STORAGE_SETTING = "DAGSTER_URL"
MADE_FOR = f"Dagster's storage, brought up to date for Dagster {version('dagster')}."


@dataclass(frozen=True)
class DagsterStorage:
    """A database and its login. ``place`` has libpq's other parameters; ``setting`` is its setting's name."""

    place: Mapping[str, str]
    user: str | None
    password: str | None
    setting: str

    @classmethod
    def from_url(cls, url: SecretStr, setting: str = STORAGE_SETTING) -> DagsterStorage:
        """The storage at a URL, with verified TLS unless it is on this machine."""
        place = read_url(url.get_secret_value(), setting)
        user, password = place.pop("user", None), place.pop("password", None)
        return cls(place, user, remember_secret(password) if password else None, setting)

    @property
    def database(self) -> str:
        return self.place["dbname"]

    def connect(self, *, role: str = "none") -> psycopg.Connection[Any]:
        """Open a session that works as ``role``, in autocommit.

        Raises:
            SettingsError, TryLater: as ``open_session``.
        """
        parameters = {
            **self.place,
            "user": self.user,
            "password": self.password,
            "application_name": "warehouse:dagster",
            "options": self._options(role=role),
        }
        try:
            return open_session(parameters, autocommit=True, setting=self.setting)
        except MayNotConnect:
            raise self._may_not_connect() from None

    def is_up_to_date(self) -> bool:
        """Whether the tables are those of the installed version of Dagster."""
        with self.connect() as connection:
            return made_for(connection) == MADE_FOR

    def url(self, server_version: int = 0, *, role: str = "none") -> str:
        """SQLAlchemy's URL, with the password: never print it. ``server_version``: 150000 is 15."""
        place = {
            **KEEPALIVES,
            **self.place,
            "client_encoding": ENCODING,
            "options": self._options(server_version, role),
        }
        return write_url("postgresql+psycopg2", place, self.user, self.password, self.database)

    def _may_not_connect(self) -> SettingsError:
        where = f"Dagster's storage, database {self.database}"
        if self.setting == STORAGE_SETTING:
            return SettingsError(
                f"{where}: login {self.user} lacks the right CONNECT.",
                hint=remedies.let_connect(self.database, str(self.user)),
            )
        return SettingsError(
            f"{STORAGE_SETTING} is not set, and login {self.user} of {self.setting} may not sign in to {where}.",
            hint=remedies.NAME_STORAGE,
        )

    def _options(self, server_version: int = 0, role: str = "none") -> str:
        """Our options, and after them those of the configured URL."""
        given = self.place.get("options", "")
        return f"{dagster_options(server_version, role)} {given}".strip()


def made_for(connection: psycopg.Connection[Any]) -> str | None:
    """The comment on Alembic's table, '' if it has none; None: there is no such table."""
    row = connection.execute(
        "SELECT obj_description(to_regclass('public.alembic_version'), 'pg_class'),"
        " to_regclass('public.alembic_version') IS NULL"
    ).fetchone()
    return None if row is None or row[1] else str(row[0] or "")
