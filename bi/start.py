"""``make bi``: Superset on loopback, over this warehouse, with the dashboard of ``bi/dashboard``.

Superset lives in an environment of its own (``.venv-bi``, from ``bi/requirements.lock``) and keeps its
metadata, its secret key and its logs in ``WAREHOUSE_HOME/superset``. It reads the warehouse over TCP as
``warehouse_bi``: what that role may not see, no user of Superset can. With ``WAREHOUSE_URL`` set, the
BI role's own URL comes from ``WAREHOUSE_BI_URL``; else the embedded Postgres is asked, the demo's where
there is no other.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import venv
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import bundle

from dagster_project.config.known_names import vendor_names
from dagster_project.config.settings import Settings, load_settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.home import (
    private_folder,
    private_home,
    read_or_make_secret,
    write_private,
)
from dagster_project.warehouse.session import READER_SESSION, as_options

PROJECT = Path(__file__).resolve().parents[1]
ENVIRONMENT = PROJECT / ".venv-bi"
LOCK = PROJECT / "bi" / "requirements.lock"
READER = "warehouse_bi"
PORT = 8088
# Inherited variables that would make Superset another one, or tell it secrets that are not its own.
FOREIGN = (
    "SUPERSET_",
    "FLASK_",
    "PYTHON",
    "WAREHOUSE_",
    "PII_",
    *(f"{name.upper()}_" for name in sorted(vendor_names())),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bi", description="Superset on loopback.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SUPERSET_PORT", PORT)))
    parser.add_argument("--demo", action="store_true", help="over the demo's warehouse")
    parser.add_argument("--set-up-only", action="store_true", help="make it ready, serve nothing")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status


def run(options: argparse.Namespace) -> int:
    settings = chosen_settings(options.demo)
    uri = reader_uri(settings)
    os.umask(0o077)
    home = private_folder(private_home(settings.home) / "superset")
    install()
    read_or_make_secret(home / "secret_key")
    password = secrets.token_urlsafe(12)
    done = set_up(home, uri, password)
    if done["made_administrator"]:
        print(f"Superset's administrator: admin, password {password} (shown this once)")
    if done["imported"]:
        print("the dashboard was imported from bi/dashboard")
    if options.set_up_only:
        return 0
    serve(home, listen(options.port))


def chosen_settings(demo: bool) -> Settings:
    """The settings at hand; those of the demo where it is asked for, or is all there is."""
    settings = load_settings()
    other = settings.home.with_name(f"{settings.home.name}-demo")
    real_exists = not settings.embedded or (settings.home / "postgres" / "PG_VERSION").exists()
    demo_exists = (other / "postgres" / "PG_VERSION").exists()
    if demo and not demo_exists:
        raise SettingsError("there is no demo yet.", hint="run make demo first.")
    if demo or (demo_exists and not real_exists):
        print(f"over the demo's warehouse ({os.path.relpath(other)})")
        return settings.model_copy(update={"home": other, "warehouse_url": None})
    return settings


def reader_uri(settings: Settings) -> str:
    """SQLAlchemy's URI of the warehouse as the BI role, over TCP."""
    if not settings.embedded:
        given = os.environ.get("WAREHOUSE_BI_URL", "")
        scheme, separator, rest = given.partition("://")
        if not separator or not scheme.startswith("postgres"):
            raise SettingsError(
                "WAREHOUSE_BI_URL is not set, and WAREHOUSE_URL is.",
                hint="set it to postgresql://user:password@host/database of a member of warehouse_bi.",
            )
        return f"postgresql+psycopg2://{rest}"
    warehouse = Warehouse.open(settings)
    migrate(warehouse, lambda line: print(line, file=sys.stderr))
    password = warehouse.logins[READER].get_secret_value()
    place = warehouse.place
    return f"postgresql+psycopg2://{READER}:{password}@{place['host']}:{place['port']}/{place['dbname']}"


def install() -> None:
    """Superset and what it needs, as the lock file says, into an environment of their own."""
    stamp = ENVIRONMENT / ".installed"
    wanted = sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("installing Superset into .venv-bi (some minutes, 0.8 GB) …", flush=True)
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    quietly = ("--quiet", "--disable-pip-version-check", "--require-hashes")
    subprocess.run([python, "-m", "pip", "install", *quietly, "-r", LOCK], check=True)
    stamp.write_text(wanted)


def environment(home: Path) -> dict[str, str]:
    """What Superset is told: nothing of the pipeline's, no telemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {
        "SUPERSET_CONFIG_PATH": str(PROJECT / "bi" / "superset_config.py"),
        "WAREHOUSE_SUPERSET": str(home),
        "SUPERSET_HOME": str(home),
        "SCARF_ANALYTICS": "false",
        "PYTHONWARNINGS": "ignore",
    }


def set_up(home: Path, uri: str, password: str) -> dict[str, Any]:
    """Bring Superset's metadata up to date; what it says goes to a log, passwords go to neither."""
    print("making Superset ready (a minute the first time) …", flush=True)
    wish = {
        "uri": uri,
        "options": as_options(READER_SESSION),
        "password": password,
        "files": bundle.make_bundle(),
        "metrics": bundle.read_tables()["metrics"],
    }
    log = home / "setup.log"
    write_private(log, "")
    with log.open("w") as said:
        done = subprocess.run(
            [ENVIRONMENT / "bin" / "python", PROJECT / "bi" / "superset_setup.py"],
            input=json.dumps(wish),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment(home),
            cwd=home,
            check=False,
        )
    if done.returncode:
        raise WarehouseError("Superset could not be made ready.", hint=f"read {log}.")
    (home / "superset.db").chmod(0o600)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that listens on the port, or on a free one if it is 0.

    Raises:
        SettingsError: somebody listens there already.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"port {port} is taken.", hint="choose another: SUPERSET_PORT=8089 make bi"
        ) from error
    listener.listen()
    return listener


def serve(home: Path, listener: socket.socket) -> NoReturn:
    """Become Superset, on 127.0.0.1 alone: signals reach it, Ctrl-C stops it."""
    port = listener.getsockname()[1]
    print(f"http://127.0.0.1:{port}/superset/dashboard/messaging/   (Ctrl-C stops it)", flush=True)
    listener.set_inheritable(True)
    command = [
        str(ENVIRONMENT / "bin" / "python"), "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}",
        "--workers", "1", "--threads", "8", "--worker-class", "gthread", "--timeout", "120",
        "--log-level", "warning", "superset.app:create_app()",
    ]  # fmt: skip
    log = os.open(
        home / "superset.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
    )
    os.chdir(home)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execve(command[0], command, environment(home))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    raise SystemExit(main())
