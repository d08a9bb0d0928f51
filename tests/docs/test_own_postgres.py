"""From an empty server to a nightly, alarmed warehouse that BI reads: docs/own-postgres.md, typed block by block.

On Debian's PostgreSQL 15, against played vendors: as the page has it, and as an administrator who is no
superuser. Nothing that is written on the way is a traceback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from tests.conftest import DEBIAN_15, PostgresServer
from tests.docs.own_road import PAGE, PROGRAM, Road, until
from tests.support.operating import WebhookReceiver
from tests.support.ports import free_port
from tests.support.programs import POSTGRES_15, need

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

AS_ADMINISTRATOR = "WAREHOUSE_URL_FILE=/etc/messaging-warehouse/admin_url DAGSTER_URL= WAREHOUSE_HOME=/root/warehouse-admin"
LOGINS_LINE = f"{AS_ADMINISTRATOR} {PROGRAM} logins --passwords /etc/messaging-warehouse"
MIGRATE_LINE = f"{AS_ADMINISTRATOR} {PROGRAM} migrate"
DOCTOR_LINE = f"runuser -u warehouse -- {PROGRAM} doctor"
SCHEDULES = """{ schedulesOrError(repositorySelector: {repositoryName: "__repository__",
    repositoryLocationName: "messaging_warehouse"}) { ... on Schedules { results {
    name scheduleState { status } futureTicks(limit: 1) { results { timestamp } } } } } }"""
HEARTBEATS = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"
SMALL_SITES = [Site(40101, ordinary=150), Site(40202, ordinary=30)]
"""What is loaded here is followed by its way, not by its amount."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="now", calltouch={"sites": SMALL_SITES}) as running:
        yield running


@contextmanager
def empty_machine(folder: Path) -> Iterator[Road]:
    """A server that has nothing but its superuser, and a machine on which nothing was typed yet."""
    need(POSTGRES_15, "openssl")
    (folder / "postgres").mkdir()
    (folder / "postgres").chmod(0o711)
    server = PostgresServer("15", DEBIAN_15, folder / "postgres")
    (folder / "road").mkdir()
    road = Road(folder / "road", server, free_port())
    try:
        yield road
    finally:
        road.stop_units()
        server.close()


def settings_of(sandbox: Sandbox, webhook: WebhookReceiver) -> dict[str, str]:
    return {**sandbox.settings_env(), "ALARM_WEBHOOK_URL": webhook.url}


def of_server(road: Road, query: str) -> list[str]:
    """What the superuser sees."""
    return road.type(f"runuser -u postgres -- psql -Atc {json.dumps(query)}").split()


def as_reader(road: Road, query: str) -> str:
    """What a BI tool sees: the address and login that the page names."""
    place = road.here("127.0.0.1:5432")
    return road.type(
        f"psql -At postgresql://warehouse_bi@{place}/warehouse -c {json.dumps(query)}",
        PGPASSWORD=road.password("warehouse_bi"),
    )


def lines(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


def refuse_tracebacks(road: Road) -> None:
    for text in (road.said, road.logs()):
        assert "Traceback" not in text, text[text.index("Traceback") - 2000 :][:4000]
    for login in ("warehouse_admin", "warehouse_app", "warehouse_dagster", "warehouse_bi"):
        assert road.password(login) not in road.said + road.logs()


def test_every_block_of_the_page_is_typed_here() -> None:
    beginnings = (
        "apt-get",
        "install -d",
        "install -m",
        "URL_FILE",
        "--from 2024",
        "systemctl",
        "MAILTO",
    )
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(beginnings)
    for block, beginning in zip(blocks, beginnings, strict=True):
        assert beginning in block


def test_from_an_empty_server_to_nights_alarms_and_readers(scratch: Path, sandbox: Sandbox) -> None:
    webhook = WebhookReceiver()
    with empty_machine(scratch) as road:
        road.block("apt-get")
        assert [call.split()[0] for call in road.calls()] == ["apt-get", "adduser", "git", "make"]
        assert "FAILED" not in road.block("install -d")
        assert "FAILED" not in road.block("install -m")
        road.add_settings(settings_of(sandbox, webhook))

        _type_what_is_out_of_order(road)
        said = road.block("URL_FILE")
        assert "FAILED" not in said, said
        assert "may sign in: warehouse_app, warehouse_dagster, warehouse_bi" in said
        assert lines(said, "wrong") == []
        again = road.block("URL_FILE")
        assert "nothing to do: the schema is up to date" in again
        assert "making login" not in again

        said = road.block("--from 2024")
        assert len(re.findall(r"^\w+: 30 days, ", said, re.MULTILINE)) == 4, said
        assert "FAILED (2)" not in said
        _serve_and_alarm(road, webhook)
        _read(road)
        refuse_tracebacks(road)
    webhook.close()


def _type_what_is_out_of_order(road: Road) -> None:
    """Each command before its time says what comes first, and makes nothing."""
    before = of_server(road, "SELECT rolname FROM pg_roles ORDER BY 1")
    for line in (LOGINS_LINE, DOCTOR_LINE, f"runuser -u warehouse -- {PROGRAM} status"):
        said = road.type(road.here(line))
        assert "FAILED" in said
        assert "Way out:" in said
    said = road.type(road.here(LOGINS_LINE))
    assert "behind by" in said
    assert "run `warehouse migrate`." in said
    assert of_server(road, "SELECT rolname FROM pg_roles ORDER BY 1") == before


def _serve_and_alarm(road: Road, webhook: WebhookReceiver) -> None:
    road.block("systemctl", lambda text: text.partition("runuser")[0])
    road.start_units()
    until(lambda: schedules(road), "the UI")
    until(lambda: all(beats(road)), "the daemon's heartbeat")
    assert "its daemon runs." in road.type(DOCTOR_LINE)
    for schedule in schedules(road):
        assert schedule["scheduleState"]["status"] == "RUNNING", schedule
        assert schedule["futureTicks"]["results"], "it comes again"

    [line] = [line for line in cron_lines(road) if "backfill" in line]
    assert road.type(line) == "", "a good night sends no mail"
    broken = line.replace(PROGRAM, f"CALLTOUCH_ACCESS_TOKEN=no-token-at-all {PROGRAM}", 1)
    mail = road.type(broken)
    assert "calltouch" in mail
    assert "exit status" in mail
    until(lambda: webhook.bodies, "the alarm")
    assert any("calltouch" in json.dumps(body) for body in webhook.bodies)
    assert road.type(line) == ""


def cron_lines(road: Road) -> list[str]:
    """The commands of the page's crontab, as cron hands them to a shell."""
    [block] = re.findall(r"^MAILTO.*?^```$", PAGE, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^(?:\S+ ){5}warehouse (.*)$", block, re.MULTILINE)
    return [road.here(command).replace("\\%", "%") for command in commands]


def schedules(road: Road) -> list[dict[str, dict[str, object]]]:
    found = ask_ui(road, SCHEDULES)
    return list(found["schedulesOrError"].get("results", [])) if found else []


def beats(road: Road) -> list[bool]:
    """Whether each thread of the daemon that is needed is alive, as the UI has it."""
    found = ask_ui(road, HEARTBEATS)
    health = found["instance"]["daemonHealth"]["allDaemonStatuses"] if found else []
    return [bool(one["healthy"]) for one in health if one["required"]] or [False]


def ask_ui(road: Road, query: str) -> dict[str, Any]:
    """What the UI answers; nothing while it does not run yet."""
    try:
        answer = requests.post(
            f"http://127.0.0.1:{road.ui_port}/graphql", json={"query": query}, timeout=60
        )
        found: dict[str, Any] = answer.json()["data"]
    except requests.RequestException:
        return {}
    return found


def _read(road: Road) -> None:
    query = "SELECT count(DISTINCT vendor), bool_and(attempted > 0) FROM bi.messaging_day WHERE attempted IS NOT NULL"
    assert as_reader(road, query).startswith("3|")
    assert "permission denied" in as_reader(road, "SELECT count(*) FROM warehouse.calltouch_sms")
    said = road.type(f"runuser -u warehouse -- {PROGRAM} psql -- -Atc 'SELECT session_user'")
    assert said.strip() == "warehouse_app"


def test_without_a_superuser_all_of_it_works_and_doctor_says_once_what_is_left(
    scratch: Path, sandbox: Sandbox
) -> None:
    webhook = WebhookReceiver()
    with empty_machine(scratch) as road:
        road.block("install -d", lambda text: text.replace("SUPERUSER", "CREATEROLE CREATEDB"))
        road.block("install -m")
        road.add_settings(settings_of(sandbox, webhook))
        assert of_server(
            road, "SELECT rolsuper FROM pg_roles WHERE rolname = 'warehouse_admin'"
        ) == ["f"]
        said = road.block("URL_FILE")
        [wrong] = lines(said, "wrong")
        assert "only a superuser of the server can close this" in wrong
        assert "the provider runs what `SELECT mend FROM ops.security_gap` lists" in wrong
        assert said.count("FAILED") == 1, said
        assert f"FAILED (1): {DOCTOR_LINE}" in said

        said = road.type(
            f"runuser -u warehouse -- {PROGRAM} backfill --from 2024-04-01 --to 2024-04-02"
        )
        assert "FAILED" not in said, said
        _say_what_a_wrong_login_lacks(road)
        _read(road)
        refuse_tracebacks(road)
    webhook.close()


def _say_what_a_wrong_login_lacks(road: Road) -> None:
    """Under the pipeline's own login, what only an administrator may is one sentence."""
    backfill = f"{PROGRAM} backfill --source trust --from 2024-04-03 --to 2024-04-03"
    said = road.type(f"DAGSTER_URL= {backfill}")
    assert "FAILED (2)" in said
    assert "DAGSTER_URL is not set" in said
    said = road.type(road.here(f"{PROGRAM} logins --passwords /etc/messaging-warehouse"))
    assert "warehouse_app may not make logins, and none was made" in said
    said = road.type(f"DAGSTER_HOME= {PROGRAM} exec -- dagster instance info")
    assert "FAILED" not in said, said
    assert road.here("DAGSTER_HOME: /var/lib/messaging-warehouse/home/dagster") in said
