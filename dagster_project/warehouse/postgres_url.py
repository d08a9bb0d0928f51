"""Read Postgres URLs into libpq's parameters, and write them for Dagster and for people.

A connection to another machine is encrypted and its server verified, unless the URL says otherwise.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dagster_project.errors import SettingsError

FORM = "write it as postgresql://user:password@host:5432/database"


def read_url(url: str, setting: str = "WAREHOUSE_URL") -> dict[str, str]:
    """Read libpq's parameters from a URL; SQLAlchemy's form (``postgresql+psycopg://``) is accepted too.

    Raises:
        SettingsError: it cannot be read, or names no database. The URL is not quoted.
    """
    scheme, separator, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"{scheme.partition('+')[0]}{separator}{rest}")
    except psycopg.Error:
        given = {}
    parameters = {name: str(value) for name, value in given.items() if value is not None}
    ports = parameters.get("port", "5432").split(",")
    if not parameters.get("dbname") or not all(port.isdecimal() for port in ports):
        raise SettingsError(f"{setting} is not the URL of a Postgres database.", hint=FORM)
    return add_tls(parameters)


def add_tls(parameters: Mapping[str, str]) -> dict[str, str]:
    """Add verified TLS to the parameters of another machine, unless they set ``sslmode``."""
    host = parameters.get("host", "")
    stays_here = not host or host.startswith(("/", "@", "127.")) or host in ("localhost", "::1")
    if stays_here or "sslmode" in parameters:
        return dict(parameters)
    roots = ssl.get_default_verify_paths().cafile
    trusted = {"sslrootcert": roots} if roots else {}
    return {"sslmode": "verify-full", **trusted, **parameters}


def write_url(
    scheme: str, place: Mapping[str, str], user: str | None, password: str | None, database: str
) -> str:
    """Write the URL of ``place``; parameters without a part of their own go into its query."""
    query = {k: v for k, v in place.items() if k not in ("host", "port", "dbname")}
    host = place.get("host", "")
    if host.startswith(("/", "@")):
        query["host"], host = host, ""
    elif ":" in host:
        host = f"[{host}]"
    if place.get("port"):
        host += f":{place['port']}" if host else ""
    who = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    text = f"{scheme}://{who}{'@' if who else ''}{host}/{quote(database, safe='')}"
    return f"{text}?{urlencode(query, quote_via=quote)}" if query else text
