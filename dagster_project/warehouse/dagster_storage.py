"""Where Dagster keeps its storage, and the URL that its processes reach it by.

Dagster opens its sessions through SQLAlchemy and psycopg2; all that they depend on stands in the
URL's ``options``. A comment on Alembic's table says for which version of Dagster the tables were last
brought up to date.
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
    """A database and its login. ``place`` holds libpq's other parameters; ``setting`` names it."""

    place: Mapping[str, str]
    user: str | None
    password: str | None
    setting: str

    @classmethod
    def from_url(cls, url: SecretStr, setting: str = STORAGE_SETTING) -> DagsterStorage:
        """The storage of a URL, with verified TLS where it leaves this machine."""
        place = read_url(url.get_secret_value(), setting)
        user, password = place.pop("user", None), place.pop("password", None)
        return cls(place, user, remember_secret(password) if password else None, setting)

    @property
    def database(self) -> str:
        return self.place["dbname"]

    def connect(self, *, role: str = "none") -> psycopg.Connection[Any]:
        """A session that works as ``role``, each statement a transaction.

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
        """Whether the tables were made, or last brought up to date, for the Dagster that is installed."""
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
        """Ours, and behind them what the person's own URL says."""
        given = self.place.get("options", "")
        return f"{dagster_options(server_version, role)} {given}".strip()


def made_for(connection: psycopg.Connection[Any]) -> str | None:
    """What the comment on Alembic's table says, '' if nothing; None: there is no such table."""
    row = connection.execute(
        "SELECT obj_description(to_regclass('public.alembic_version'), 'pg_class'),"
        " to_regclass('public.alembic_version') IS NULL"
    ).fetchone()
    return None if row is None or row[1] else str(row[0] or "")
