"""Connect to Postgres: to the embedded server, or to the one that ``WAREHOUSE_URL`` names.

The pipeline always works as ``warehouse_loader``, whatever else its login may do. A session ends by itself
when its host is gone (keepalives on both sides, and a check of the client while a statement waits), so
locks are free again after a minute, not after hours.

Session advisory locks and settings need a session of their own, so a connection pooler is refused
(``session.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from pydantic import SecretStr

from dagster_project.config.settings import Settings
from dagster_project.errors import TryLater
from dagster_project.text.scrub import remember_secret
from dagster_project.warehouse.dagster_storage import DagsterStorage
from dagster_project.warehouse.opening import open_session
from dagster_project.warehouse.postgres_url import read_url, write_url
from dagster_project.warehouse.seen_erasures import SeenErasures
from dagster_project.warehouse.server import embedded
from dagster_project.warehouse.server.cluster import SUPERUSER
from dagster_project.warehouse.session import SESSION, as_options

Connection = psycopg.Connection[Any]
Report = Callable[[str], None]
"""Takes a line that tells how far something is."""

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOADER = "warehouse_loader"
APP = "warehouse_app"
DAGSTER = "warehouse_dagster"
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 2.0
BI_ROLES = ("warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii")


@dataclass(frozen=True)
class Login:
    """A login. ``password`` is ``None`` if ``PGPASSFILE`` or a certificate is used."""

    user: str | None
    password: SecretStr | None = None

    @property
    def secret(self) -> str | None:
        return self.password.get_secret_value() if self.password else None


@dataclass(frozen=True)
class Warehouse:
    """A database, and the logins for it.

    ``place`` has libpq's parameters without user and password. ``logins`` are those whose passwords this
    program made, and which ``migrate`` creates: empty for another server than the embedded one. ``home``:
    where to start the embedded server again if it is down. ``seen_erasures``: what ``WAREHOUSE_HOME``
    knows of the newest erasure, by which an older copy of the database is recognized.
    """

    place: Mapping[str, str]
    pipeline: Login
    admin: Login
    logins: Mapping[str, SecretStr] = field(default_factory=dict)
    dagster: SecretStr | None = None
    home: Path | None = None
    seen_erasures: SeenErasures | None = None

    @classmethod
    def open(cls, settings: Settings) -> Warehouse:
        """Open the warehouse of these settings; starts the embedded server, migrates nothing.

        Raises:
            SettingsError: ``WAREHOUSE_URL`` cannot be read, or the embedded server is not ours.
        """
        if settings.warehouse_url is not None:
            found = cls.from_url(settings.warehouse_url.get_secret_value(), settings.dagster_url)
        else:
            server = embedded.ensure_running(settings.home)
            found = cls.on_server(server, dagster=settings.dagster_url, home=settings.home)
        return replace(found, seen_erasures=SeenErasures(settings.home))

    @classmethod
    def from_url(cls, url: str, dagster: SecretStr | None = None) -> Warehouse:
        """A warehouse on another server: the URL's user migrates, and loads as ``warehouse_loader``."""
        place = read_url(url)
        password = place.pop("password", None)
        login = Login(
            place.pop("user", None), SecretStr(remember_secret(password)) if password else None
        )
        return cls(place, pipeline=login, admin=login, dagster=dagster)

    @classmethod
    def on_server(
        cls,
        server: embedded.EmbeddedServer,
        database: str = "warehouse",
        dagster: SecretStr | None = None,
        home: Path | None = None,
    ) -> Warehouse:
        """A database of the embedded server, whether or not it exists yet."""
        passwords = server.passwords
        return cls(
            {"host": server.host, "port": str(server.port), "dbname": database},
            pipeline=Login(APP, passwords[APP]),
            admin=Login(SUPERUSER, passwords[SUPERUSER]),
            logins={name: passwords[name] for name in (APP, DAGSTER, *BI_ROLES)},
            dagster=dagster,
            home=home,
        )

    @property
    def database(self) -> str:
        return self.place["dbname"]

    @property
    def dagster_database(self) -> str:
        return f"{self.database}_dagster"

    @property
    def is_embedded(self) -> bool:
        return bool(self.logins)

    def connect(
        self,
        *,
        autocommit: bool = False,
        role: str | None = LOADER,
        what: str = "pipeline",
        lock_timeout: float = 0,
        statement_timeout: float = 0,
        patience: float = 0,
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as ``role``; timeouts in seconds, 0 is none.

        It tries again for ``patience`` seconds, so that a short outage or a restart of the server does not
        fail the window.

        Raises:
            SettingsError: password, database or role are not accepted.
            TryLater: the server cannot be reached.
        """
        session = {
            "lock_timeout": f"{round(lock_timeout * 1000)}ms",
            "statement_timeout": f"{round(statement_timeout * 1000)}ms",
            **({"role": role} if role else {}),
        }
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._connect(self.pipeline, what, autocommit, self.database, session)
            except TryLater:
                if time.monotonic() + RETRY_SECONDS > deadline:
                    raise
            time.sleep(RETRY_SECONDS)

    def connect_admin(
        self, *, autocommit: bool = True, database: str | None = None, what: str = "admin"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the login that migrates, to this or another database of the server."""
        return self._connect(self.admin, what, autocommit, database or self.database, {})

    def engine(self) -> Engine:
        """A SQLAlchemy engine, for pandas and small queries. It keeps no connection between uses."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: self.connect(what="reader"),
            poolclass=NullPool,
            hide_parameters=True,
        )

    @property
    def storage(self) -> DagsterStorage:
        """Dagster's storage."""
        if self.dagster is not None:
            return DagsterStorage.from_url(self.dagster)
        login = Login(DAGSTER, self.logins[DAGSTER]) if self.is_embedded else self.admin
        place = {**self.place, "dbname": self.dagster_database}
        return DagsterStorage(place, login.user, login.secret, "WAREHOUSE_URL")

    def dagster_url(self) -> str:
        """SQLAlchemy's URL of Dagster's own database, with its password: never print it."""
        return self.storage.url()

    def public_url(self, user: str) -> str:
        """A URL for people and BI tools, without a password."""
        place = {k: v for k, v in self.place.items() if k in ("host", "port", "sslmode")}
        return write_url("postgresql", place, user, None, self.database)

    def _connect(
        self,
        login: Login,
        what: str,
        autocommit: bool,
        database: str,
        session: Mapping[str, str],
    ) -> psycopg.Connection[tuple[Any, ...]]:
        own = as_options({**SESSION, **session})
        parameters: dict[str, Any] = {
            **self.place,
            "user": login.user,
            "password": login.secret,
            "dbname": database,
            "application_name": f"warehouse:{what}",
            "options": f"{self.place.get('options', '')} {own}".strip(),
        }
        try:
            return open_session(parameters, autocommit)
        except TryLater:
            if self.home is None:
                raise
        server = embedded.ensure_running(self.home)
        return open_session({**parameters, "port": server.port}, autocommit)
