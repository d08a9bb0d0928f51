"""How to reach Postgres: the embedded server, or the one that ``WAREHOUSE_URL`` names.

The pipeline signs in and works as ``warehouse_loader``, whatever the login is allowed to. Sessions
end by themselves when their host is gone: keepalives on both sides and a check of the client while
a statement waits, so that locks are free again after a minute, not after hours.

Session advisory locks and these settings need a connection of one's own: a pooler in transaction
mode between the pipeline and Postgres does not do.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from dagster_project.errors import SettingsError, TryLater, WarehouseError
from dagster_project.settings import Settings
from dagster_project.warehouse import embedded
from dagster_project.warehouse.cluster import SUPERUSER
from dagster_project.warehouse.pg_errors import safe_errors

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["DAGSTER", "LOADER", "Login", "Warehouse", "safe_errors"]

LOADER = "warehouse_loader"
OWNER = "warehouse_owner"
APP = "warehouse_app"
DAGSTER = "warehouse_dagster"
BI_ROLES = ("warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii")

CLIENT_KEEPALIVES: Mapping[str, str] = {
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
    """Who signs in. ``password`` is ``None`` where the URL, ``PGPASSFILE`` or a certificate does it."""

    user: str | None
    password: SecretStr | None = None

    def parameters(self) -> dict[str, str]:
        given = {"user": self.user} if self.user else {}
        if self.password is not None:
            given["password"] = self.password.get_secret_value()
        return given


@dataclass(frozen=True)
class Warehouse:
    """A database, and the logins for it.

    ``place`` holds libpq's parameters without user and password. ``logins`` are the ones whose
    passwords this program made, and which ``migrate`` creates: empty for a server of somebody else.
    """

    place: Mapping[str, str]
    pipeline: Login
    admin: Login
    logins: Mapping[str, SecretStr] = field(default_factory=dict)
    dagster: SecretStr | None = None

    @classmethod
    def open(cls, settings: Settings) -> Warehouse:
        """The warehouse of these settings; starts the embedded server, migrates nothing.

        Raises:
            SettingsError: ``WAREHOUSE_URL`` cannot be read, or the embedded server cannot be ours.
        """
        if settings.warehouse_url is not None:
            return cls.at(settings.warehouse_url.get_secret_value(), settings.dagster_url)
        server = embedded.ensure_running(settings.home)
        return cls.on(server, dagster=settings.dagster_url)

    @classmethod
    def at(cls, url: str, dagster: SecretStr | None = None) -> Warehouse:
        """A server of somebody else: its URL's user migrates, and loads as ``warehouse_loader``."""
        scheme, separator, rest = url.partition("://")
        try:
            given = conninfo_to_dict(f"{scheme.partition('+')[0]}{separator}{rest}")
        except psycopg.Error:
            raise SettingsError(
                "WAREHOUSE_URL is not a Postgres URL.",
                way_out="write it as postgresql://user:password@host:5432/database",
            ) from None
        parameters = {name: str(value) for name, value in given.items() if value is not None}
        password = parameters.pop("password", None)
        login = Login(parameters.pop("user", None), SecretStr(password) if password else None)
        if not parameters.get("dbname"):
            raise SettingsError(
                "WAREHOUSE_URL names no database.",
                way_out="write it as postgresql://user:password@host:5432/database",
            )
        return cls(_with_tls(parameters), pipeline=login, admin=login, dagster=dagster)

    @classmethod
    def on(
        cls,
        server: embedded.EmbeddedServer,
        database: str = "warehouse",
        dagster: SecretStr | None = None,
    ) -> Warehouse:
        """A database of the embedded server, whether or not it exists yet."""
        passwords = server.passwords
        return cls(
            {"host": server.host, "port": str(server.port), "dbname": database},
            pipeline=Login(APP, passwords[APP]),
            admin=Login(SUPERUSER, passwords[SUPERUSER]),
            logins={name: passwords[name] for name in (APP, DAGSTER, *BI_ROLES)},
            dagster=dagster,
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
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection for the pipeline, working as ``role``; timeouts in seconds, 0 is none.

        Raises:
            SettingsError: password, database or role are not accepted.
            TryLater: the server cannot be reached.
        """
        session = {"lock_timeout": lock_timeout, "statement_timeout": statement_timeout}
        return self._connect(
            self.pipeline, what, autocommit, session={**_milliseconds(session), **_role(role)}
        )

    def connect_admin(
        self, *, autocommit: bool = True, database: str | None = None, what: str = "admin"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection as the login that migrates, to this or another database of the server."""
        return self._connect(self.admin, what, autocommit, database=database)

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
            return self.dagster.get_secret_value()
        login = Login(DAGSTER, self.logins[DAGSTER]) if self.is_embedded else self.admin
        rest = {k: v for k, v in self.place.items() if k not in ("host", "port", "dbname")}
        return _url("postgresql+psycopg2", self.place, login, self.dagster_database, rest)

    def public_url(self, user: str) -> str:
        """A URL for people and BI tools, without a password."""
        return _url("postgresql", self.place, Login(user), self.database, {})

    def _connect(
        self,
        login: Login,
        what: str,
        autocommit: bool,
        *,
        database: str | None = None,
        session: Mapping[str, str] | None = None,
    ) -> psycopg.Connection[tuple[Any, ...]]:
        options = " ".join(f"-c {k}={v}" for k, v in {**SESSION, **(session or {})}.items())
        parameters = {
            **CLIENT_KEEPALIVES,
            **self.place,
            **login.parameters(),
            **({"dbname": database} if database else {}),
            "application_name": f"warehouse:{what}",
            "options": f"{self.place.get('options', '')} {options}".strip(),
        }
        failure: WarehouseError
        try:
            return psycopg.connect(**parameters, autocommit=autocommit)  # type: ignore[arg-type]
        except psycopg.Error as error:
            failure = self._connect_failure(str(error), login)
        raise failure

    def _connect_failure(self, said: str, login: Login) -> WarehouseError:
        where = f"{self.place.get('host', 'localhost')}:{self.place.get('port', '5432')}"
        target = f"database {self.database} at {where} as {login.user or 'the default user'}"
        for sign, reason, way_out in CONNECT_FAILURES:
            if sign in said:
                return SettingsError(f"{target}: {reason}.", way_out=way_out)
        return TryLater(
            f"{target}: no connection.", way_out="see that Postgres runs and can be reached."
        )


CONNECT_FAILURES = (
    (
        "password authentication failed",
        "the password is not accepted",
        "correct WAREHOUSE_URL.",
    ),
    ("no password supplied", "no password is set", "put one into WAREHOUSE_URL."),
    ("no pg_hba.conf entry", "the server does not let this user in", "ask its administrator."),
    (
        'parameter "role"',
        "this login may not work as the role that it needs, or the role does not exist",
        "run `warehouse migrate`.",
    ),
    ("does not exist", "it does not exist", "run `warehouse migrate`, or create the database."),
    (
        "permission denied for database",
        "this login may not connect",
        "run `warehouse migrate` as the administrator.",
    ),
    (
        "certificate",
        "the server's certificate is not trusted",
        "add sslrootcert=<file> to WAREHOUSE_URL, or on a network you trust sslmode=disable.",
    ),
    (
        "does not support SSL",
        "the server does not encrypt",
        "turn on its TLS, or on a network you trust add sslmode=disable to WAREHOUSE_URL.",
    ),
)


def _with_tls(parameters: Mapping[str, str]) -> dict[str, str]:
    """Verified TLS wherever the URL does not say otherwise and the way leaves this machine."""
    host = parameters.get("host", "")
    local = not host or host.startswith(("/", "127.", "@")) or host in ("localhost", "::1")
    if local or "sslmode" in parameters:
        return dict(parameters)
    roots = ssl.get_default_verify_paths().cafile
    return {
        "sslmode": "verify-full",
        **({"sslrootcert": roots} if roots else {}),
        **parameters,
    }


def _role(role: str | None) -> dict[str, str]:
    return {"role": role} if role else {}


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, str]:
    return {name: str(round(value * 1000)) for name, value in seconds.items()}


def _url(
    scheme: str, place: Mapping[str, str], login: Login, database: str, query: Mapping[str, str]
) -> str:
    who = quote(login.user or "", safe="")
    if login.password is not None:
        who += ":" + quote(login.password.get_secret_value(), safe="")
    host = place.get("host", "")
    extra = dict(query)
    if host.startswith("/"):
        extra["host"], host = host, ""
    elif ":" in host:
        host = f"[{host}]"
    if place.get("port"):
        host += f":{place['port']}" if host else ""
    text = f"{scheme}://{who}@{host}/{quote(database, safe='')}"
    return f"{text}?{urlencode(extra)}" if extra else text
