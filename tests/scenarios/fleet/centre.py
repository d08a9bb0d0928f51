"""The centre of the test's network: Postgres with TLS, broker, vendors, and Dagster's services.

Everything is set up as ``docs/deployment.md`` has an administrator do it: migrate, logins, Dagster's
storage, then each service with the secrets that it needs, in files.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.scenarios.fleet.hosts import CENTRE, ROOM
from tests.support.older_cluster import Cluster15

ROOT = Path(__file__).resolve().parents[3]
FLEET = ROOT / ".venv-fleet" / "bin"
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
SITES = tuple(range(501, 513))
KEY = "pseudonyms of the fleet's test"
HBA = f"""\
local   all all              scram-sha-256
host    all all 127.0.0.1/32 scram-sha-256
hostssl all all {ROOM}.0/24  scram-sha-256
"""


def wait_for(what: str, done: Callable[[], Any], seconds: float = 180) -> Any:
    """What ``done`` answers, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.25)
    return found


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


class Centre:
    """What hosts of workers need around them. ``folder`` holds data, secrets and logs."""

    postgres_port, broker_port, vendor_port, code_port, web_port = 5432, 6379, 8080, 4000, 3000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.secrets = folder / "secrets"
        self.passwords = {
            name: secrets.token_urlsafe(18)
            for name in ("postgres", "warehouse_app", "warehouse_dagster", "broker")
        }
        self._children: list[subprocess.Popen[bytes]] = []
        for path in (self.logs, self.secrets):
            path.mkdir()

    def start(self) -> None:
        self._start_postgres()
        self._start_broker()
        self._start_vendors()
        self._write_secrets()
        self._prepare_databases()
        self.start_service("code", self.worker_environment("code"), *self._code_server())
        wait_for("the code location", lambda: listens(CENTRE, self.code_port))
        for name, command in (("web", self._webserver()), ("daemon", self._daemon())):
            self.start_service(name, self.dagster_environment(name), *command)
        wait_for("the webserver", lambda: listens(CENTRE, self.web_port))

    def close(self) -> None:
        for child in reversed(self._children):
            child.kill()
            child.wait()
        self.cluster.stop("immediate")

    def start_service(self, name: str, environment: Mapping[str, str], *command: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [str(FLEET / "warehouse"), "exec", "--", *command],
                env=dict(environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._children.append(child)

    def dagster_environment(self, name: str) -> dict[str, str]:
        """Webserver and daemon: Dagster's storage and the broker, and nothing else."""
        home = self.folder / f"home-{name}"
        home.mkdir(exist_ok=True)
        shutil.copy(ROOT / "docker" / "dagster-fleet" / "dagster.yaml", home)
        return {
            "PATH": f"{FLEET}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "DAGSTER_HOME": str(home),
            "DAGSTER_URL_FILE": str(self.secrets / "dagster_url"),
            "WAREHOUSE_BROKER_URL_FILE": str(self.secrets / "broker_url"),
        }

    def worker_environment(self, name: str) -> dict[str, str]:
        """Code location and workers: the warehouse and the vendors as well."""
        vendors = self.ask("settings")
        given = {
            **{name: value for name, value in vendors.items() if name.startswith("CALLTOUCH_")},
            "CALLTOUCH_SITE_IDS": ",".join(map(str, SITES)),
            "ALLOW_PLAIN_HTTP": "yes",
        }
        return {
            **self.dagster_environment(name),
            **given,
            "PYTHONPATH": str(ROOT / "docker" / "celery"),
            "WAREHOUSE_URL_FILE": str(self.secrets / "warehouse_url"),
            "PII_HASH_KEY_FILE": str(self.secrets / "pii_hash_key"),
            "WAREHOUSE_HOME": str(self.folder / "unused"),
            "WAREHOUSE_RANGE_DAYS": "2",
            # Old enough to be reduced as it is loaded, and then not to be compared.
            "PII_RETENTION_DAYS": "10000",
        }

    def worker_command(self) -> Sequence[str]:
        return (
            *(str(FLEET / "warehouse"), "exec", "--"),
            *("celery", "-A", "dagster_celery.app", "worker"),
            *("--loglevel", "INFO", "--concurrency", "2", "-Q", "dagster", "-n", "worker@%h"),
        )

    def rows(self, query: str, *values: Any, database: str = "warehouse") -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.postgres_port,
            user="postgres",
            password=self.passwords["postgres"],
            dbname=database,
            application_name="the test",
        ) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def ask(self, path: str) -> Any:
        """The sandbox's controls, asked through the address that all hosts share."""
        with urllib.request.urlopen(self.vendors_url(path), timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def truth(self, site: int, first: str, last: str) -> list[dict[str, Any]]:
        path = f"truth/calltouch?site={site}&from={first}&to={last}"
        with urllib.request.urlopen(self.vendors_url(path), timeout=60) as answer:  # noqa: S310
            return [json.loads(line) for line in answer.read().splitlines() if line.strip()]

    def vendors_url(self, path: str) -> str:
        return f"http://{CENTRE}:{self.vendor_port}/_sandbox/{path}"

    def graphql(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://{CENTRE}:{self.web_port}/graphql",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def _start_postgres(self) -> None:
        self.cluster = Cluster15(self.folder / "postgres", DEBIAN_15)
        self.cluster.create(self.passwords["postgres"], sync=False)
        data, account = self.cluster.data, self.cluster.account
        certificate, key = self._certificate()
        for path, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copy(path, data / name)
            (data / name).chmod(0o600)
            os.chown(data / name, account.uid, account.gid)
        (data / "pg_hba.conf").write_text(HBA)
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1,{CENTRE}'\nport = {self.postgres_port}\n"
                "unix_socket_directories = ''\nssl = on\nfsync = off\nmax_connections = 200\n"
            )
        (data / "warehouse.conf").write_text("")
        os.chown(data / "warehouse.conf", account.uid, account.gid)
        subprocess.run(
            [
                *(str(DEBIAN_15 / "pg_ctl"), "start", "--silent", "--wait"),
                *(f"--pgdata={data}", f"--log={data / 'startup.log'}"),
            ],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            check=True,
        )
        self._make_database()

    def _make_database(self) -> None:
        with psycopg.connect(
            host="127.0.0.1",
            user="postgres",
            password=self.passwords["postgres"],
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute("CREATE DATABASE warehouse")

    def _certificate(self) -> tuple[Path, Path]:
        """Of the server, signed by itself: clients are given it as the root to trust."""
        certificate, key = self.folder / "ca.crt", self.folder / "server.key"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={CENTRE}", "-addext", f"subjectAltName=IP:{CENTRE}"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        return certificate, key

    def _start_broker(self) -> None:
        config = self.folder / "redis.conf"
        config.write_text(
            f"bind {CENTRE}\nport 0\ntls-port {self.broker_port}\ntls-auth-clients no\n"
            f"tls-cert-file {self.folder / 'ca.crt'}\ntls-key-file {self.folder / 'server.key'}\n"
            f"tls-ca-cert-file {self.folder / 'ca.crt'}\n"
            f"requirepass {self.passwords['broker']}\nsave ''\nappendonly no\ndir {self.folder}\n"
        )
        with (self.logs / "broker.log").open("ab") as log:
            self._children.append(
                subprocess.Popen(["redis-server", str(config)], stdout=log, stderr=log)
            )
        wait_for("the broker", lambda: listens(CENTRE, self.broker_port))

    def _start_vendors(self) -> None:
        """The sandbox on loopback, behind a forwarder: all hosts ask from one address, as behind NAT."""
        sites = [{"site_id": site, "ordinary": 90, "population": 2000} for site in SITES]
        ready = self.folder / "sandbox.json"
        with (self.logs / "vendors.log").open("ab") as log:
            for module, *arguments in (
                (
                    *("dagster_project.sandbox", "--quiet", "--clock", "2024-05-20T12:00:00+03:00"),
                    *("--ready-file", str(ready), "--port", "8081"),
                    *("--configs", json.dumps({"calltouch": {"sites": sites, "latency": 0.2}})),
                ),
                ("tests.scenarios.fleet.forward", CENTRE, str(self.vendor_port), "8081"),
            ):
                command = [sys.executable, "-m", module, *arguments]
                self._children.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))
        wait_for("the vendors", ready.exists)
        wait_for("the way to the vendors", lambda: listens(CENTRE, self.vendor_port))

    def _write_secrets(self) -> None:
        def url(user: str, database: str) -> str:
            where = f"{CENTRE}:{self.postgres_port}/{database}"
            tls = f"sslmode=verify-full&sslrootcert={self.folder / 'ca.crt'}"
            return f"postgresql://{user}:{self.passwords[user]}@{where}?{tls}"

        for name, text in {
            "admin_url": url("postgres", "warehouse"),
            "warehouse_url": url("warehouse_app", "warehouse"),
            "dagster_url": url("warehouse_dagster", "warehouse_dagster"),
            "broker_url": f"rediss://:{self.passwords['broker']}@{CENTRE}:{self.broker_port}/0"
            f"?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={self.folder / 'ca.crt'}",
            "pii_hash_key": KEY,
            "warehouse_app_password": self.passwords["warehouse_app"],
            "warehouse_dagster_password": self.passwords["warehouse_dagster"],
        }.items():
            path = self.secrets / name
            path.write_text(text + "\n")
            path.chmod(0o600)

    def _prepare_databases(self) -> None:
        administrator = {
            **self.dagster_environment("admin"),
            "PII_HASH_KEY_FILE": str(self.secrets / "pii_hash_key"),
            "WAREHOUSE_URL_FILE": str(self.secrets / "admin_url"),
        }
        del administrator["DAGSTER_URL_FILE"]
        warehouse = str(FLEET / "warehouse")
        steps = (
            (administrator, [warehouse, "migrate"]),
            (administrator, [warehouse, "logins", "--passwords", str(self.secrets)]),
        )
        with (self.logs / "prepare.log").open("ab") as log:
            for environment, command in steps:
                subprocess.run(
                    command,
                    env=environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=True,
                )

    def _code_server(self) -> Sequence[str]:
        return (
            *("dagster", "code-server", "start", "-m", "dagster_project.definitions"),
            *("--host", CENTRE, "--port", str(self.code_port), "--log-level", "warning"),
        )

    def _workspace(self) -> str:
        text = (
            (ROOT / "docker" / "workspace.yaml")
            .read_text()
            .replace("host: code", f"host: {CENTRE}")
        )
        path = self.folder / "workspace.yaml"
        path.write_text(text)
        return str(path)

    def _webserver(self) -> Sequence[str]:
        return (
            *("dagster-webserver", "--host", CENTRE, "--port", str(self.web_port)),
            *("--workspace", self._workspace(), "--log-level", "warning"),
        )

    def _daemon(self) -> Sequence[str]:
        return ("dagster-daemon", "run", "--workspace", self._workspace())
