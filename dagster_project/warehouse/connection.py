"""How to reach Postgres: the embedded server, or the one that ``WAREHOUSE_URL`` names.

The pipeline signs in and works as ``warehouse_loader``, whatever the login is allowed to. Sessions
end by themselves when their host is gone: keepalives on both sides and a check of the client while
a statement waits, so that locks are free again after a minute, not after hours.

Session advisory locks and these settings need a connection of one's own: a pooler in transaction
mode between the pipeline and Postgres does not do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from pydantic import SecretStr

from dagster_project.errors import TryLater, WarehouseError
from dagster_project.scrub import remember
from dagster_project.settings import Settings
from dagster_project.warehouse import embedded
from dagster_project.warehouse.cluster import SUPERUSER
from dagster_project.warehouse.pg_errors import connect_failure, safe_errors
from dagster_project.warehouse.postgres_url import read_url, write_url
from dagster_project.warehouse.seen_erasures import SeenErasures

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = [
    "APP",
    "BI_ROLES",
    "DAGSTER",
    "LOADER",
    "PATIENCE_SECONDS",
    "Login",
    "Warehouse",
    "safe_errors",
    "storage_url",
]

LOADER = "warehouse_loader"
APP = "warehouse_app"
DAGSTER = "warehouse_dagster"
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 2.0
BI_ROLES = ("warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii")

KEEPALIVES: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
SESSION: Mapping[str, str] = {
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "0",
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}


@dataclass(frozen=True)
class Login:
    """Who signs in. ``password`` is ``None`` where ``PGPASSFILE`` or a certificate does it."""

    user: str | None
    password: SecretStr | None = None

    @property
    def secret(self) -> str | None:
        return self.password.get_secret_value() if self.password else None


@dataclass(frozen=True)
class Warehouse:
    """A database, and the logins for it.

    ``place`` holds libpq's parameters without user and password. ``logins`` are the ones whose
    passwords this program made, and which ``migrate`` creates: empty for a server of somebody else.
    ``home`` is where the embedded server is started again from, should it be found down.
    ``seen_erasures`` is what ``WAREHOUSE_HOME`` knows of it, by which an older copy is known.
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
        """The warehouse of these settings; starts the embedded server, migrates nothing.

        Raises:
            SettingsError: ``WAREHOUSE_URL`` cannot be read, or the embedded server cannot be ours.
        """
        if settings.warehouse_url is not None:
            found = cls.at(settings.warehouse_url.get_secret_value(), settings.dagster_url)
        else:
            server = embedded.ensure_running(settings.home)
            found = cls.on(server, dagster=settings.dagster_url, home=settings.home)
        return replace(found, seen_erasures=SeenErasures(settings.home))

    @classmethod
    def at(cls, url: str, dagster: SecretStr | None = None) -> Warehouse:
        """A server of somebody else: its URL's user migrates, and loads as ``warehouse_loader``."""
        place = read_url(url)
        password = place.pop("password", None)
        login = Login(place.pop("user", None), SecretStr(remember(password)) if password else None)
        return cls(place, pipeline=login, admin=login, dagster=dagster)

    @classmethod
    def on(
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
        """A connection for the pipeline, working as ``role``; timeouts in seconds, 0 is none.

        For ``patience`` seconds it is tried again: a host that is cut off for a while, or a server
        that is started anew, need not cost the window.

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
        """A connection as the login that migrates, to this or another database of the server."""
        return self._connect(self.admin, what, autocommit, database or self.database, {})

    def engine(self, *, role: str | None = LOADER, what: str = "reader") -> Engine:
        """SQLAlchemy's engine, for pandas and small reads. It keeps no connection between uses."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: self.connect(role=role, what=what),
            poolclass=NullPool,
            hide_parameters=True,
        )

    def dagster_url(self) -> str:
        """SQLAlchemy's URL of Dagster's own database, with its password: never print it."""
        if self.dagster is not None:
            return storage_url(self.dagster)
        login = Login(DAGSTER, self.logins[DAGSTER]) if self.is_embedded else self.admin
        place = {**KEEPALIVES, **self.place}
        return write_url(
            "postgresql+psycopg2", place, login.user, login.secret, self.dagster_database
        )

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
        given = " ".join(f"-c {name}={value}" for name, value in {**SESSION, **session}.items())
        parameters: dict[str, Any] = {
            **KEEPALIVES,
            **self.place,
            "user": login.user,
            "password": login.secret,
            "dbname": database,
            "application_name": f"warehouse:{what}",
            "options": f"{self.place.get('options', '')} {given}".strip(),
        }
        try:
            return _try_connect(parameters, autocommit)
        except TryLater:
            if self.home is None:
                raise
        server = embedded.ensure_running(self.home)
        return _try_connect({**parameters, "port": server.port}, autocommit)


def storage_url(url: SecretStr) -> str:
    """``DAGSTER_URL`` in SQLAlchemy's form, with verified TLS where it leaves this machine."""
    place = {**KEEPALIVES, **read_url(url.get_secret_value(), "DAGSTER_URL")}
    user, password = place.pop("user", None), place.pop("password", None)
    return write_url("postgresql+psycopg2", place, user, password, place["dbname"])


def _try_connect(
    parameters: dict[str, Any], autocommit: bool
) -> psycopg.Connection[tuple[Any, ...]]:
    failure: WarehouseError
    try:
        return psycopg.connect(**parameters, autocommit=autocommit)
    except psycopg.Error as error:
        failure = connect_failure(str(error), parameters)
    raise failure
