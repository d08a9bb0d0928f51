"""A month over two hosts, of which one dies and the other is cut off for a while."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.scenarios.fleet.centre import ROOT, SITES, Centre, wait_for
from tests.scenarios.fleet.hosts import Host, lay_bridge

FIRST, LAST = date(2024, 4, 1), date(2024, 4, 30)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
ZONE = ZoneInfo("Europe/Moscow")
CUT_OFF_SECONDS = 25
LOGS = ROOT / ".fleet-logs"
LAUNCH = """
mutation ($days: [String!]!) {
  launchPartitionBackfill(backfillParams: {
    assetSelection: [{path: ["raw", "calltouch_sms"]}, {path: ["calltouch", "sms"]}],
    partitionNames: $days
  }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
UNFINISHED = "('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')"


@pytest.fixture
def centre() -> Iterator[Centre]:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-fleet-")).resolve()
    folder.chmod(0o711)
    lay_bridge()
    centre = Centre(folder)
    try:
        centre.start()
        yield centre
    finally:
        centre.close()
        shutil.copytree(centre.logs, LOGS, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def with_worker(centre: Centre, name: str, number: int) -> Host:
    """A host on which a worker starts."""
    host = Host(name, number)
    host.run(centre.worker_command(), centre.worker_environment(name), centre.logs / f"{name}.log")
    return host


def is_ready(centre: Centre, host: Host) -> bool:
    return b" ready." in (centre.logs / f"{host.name}.log").read_bytes()


def test_a_month_is_exact_though_one_host_dies_and_the_other_is_cut_off(centre: Centre) -> None:
    said = Story()
    one, other = (with_worker(centre, *which) for which in (("one", 11), ("other", 12)))
    for host in (one, other):
        wait_for(f"the worker on {host.name}", lambda host=host: is_ready(centre, host), 180)
    said("two workers are ready")
    answer = centre.graphql(LAUNCH, days=[day.isoformat() for day in DAYS])
    assert answer["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", answer
    wait_for("a third of the month", lambda: committed(centre) > len(DAYS) * len(SITES) / 3, 300)
    at_work = wait_for("both hosts at work", lambda: both_at_work(centre))
    said(f"a third is committed, {at_work} runs are under way")

    one.lose_power()
    said("one host is dead")
    wait_for("more of the month", lambda: committed(centre) > len(DAYS) * len(SITES) / 2, 300)
    other.cut_off()
    time.sleep(CUT_OFF_SECONDS)
    other.plug_in()
    said(f"the other host was cut off for {CUT_OFF_SECONDS} s")

    wait_for("the month", lambda: is_over(centre), seconds=600)
    said("the month is over")
    assert stored(centre) == true_rows(centre)
    assert finished_runs(centre)["FAILURE"] >= 1, "the dead host's run was never missed"
    stats = centre.ask("stats")
    assert stats["rate_limited"].get("calltouch", 0) == 0
    assert stats["busiest_second"]["calltouch"] <= 5
    assert is_over(centre)
    wait_for("locks to be free", lambda: not left_behind(centre), seconds=120)
    said(f"{stats['requests']['calltouch']} requests, no 429; runs: {dict(finished_runs(centre))}")


class Story:
    """What happened and when, for whoever watches."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"\n{time.monotonic() - self._began:6.1f} s  {line}", end="", flush=True)


def committed(centre: Centre) -> int:
    """Days of sites that stand."""
    return int(centre.rows("SELECT count(*) FROM ops.day_state WHERE source = 'calltouch'")[0][0])


def both_at_work(centre: Centre) -> int:
    """Runs that hold connections from both hosts; 0 where one of the hosts has none."""
    found = centre.rows(
        "SELECT client_addr::text, count(*) FROM pg_stat_activity"
        " WHERE application_name = 'warehouse:run' AND client_addr IS NOT NULL GROUP BY 1"
    )
    return sum(count for _, count in found) if len(found) == 2 else 0


def is_over(centre: Centre) -> bool:
    """Every day stands, no run is under way, and none that died waits to be done again."""
    if committed(centre) < len(DAYS) * len(SITES):
        return False
    query = f"""
        SELECT count(*) FROM runs WHERE status IN {UNFINISHED} OR (
            EXISTS (SELECT FROM run_tags t WHERE t.run_id = runs.run_id
                    AND t.key = 'dagster/will_retry' AND t.value = 'true')
            AND NOT EXISTS (SELECT FROM run_tags t WHERE t.run_id = runs.run_id
                            AND t.key = 'dagster/auto_retry_run_id'))
    """
    return bool(centre.rows(query, database="warehouse_dagster")[0][0] == 0)


def finished_runs(centre: Centre) -> Counter[str]:
    query = "SELECT status, count(*) FROM runs GROUP BY 1"
    return Counter(dict(centre.rows(query, database="warehouse_dagster")))


def left_behind(centre: Centre) -> list[tuple[str, int]]:
    """Locks, extractions under way and reservations that nobody ends any more."""
    found = centre.rows(
        "SELECT 'locks', count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND d.datname = 'warehouse'"
        " UNION ALL SELECT 'extractions', count(*) FROM ops.extraction WHERE outcome = 'started'"
        " UNION ALL SELECT 'reservations', sum(ops.points_held('calltouch', site, d::date, NULL))"
        " FROM (SELECT DISTINCT account AS site, spent_on AS d FROM ops.point_ledger) AS books"
    )
    return [(what, count) for what, count in found if count]


def stored(centre: Centre) -> Counter[tuple[object, ...]]:
    return Counter(
        centre.rows(
            "SELECT site_id, sent_at, phone, status, message FROM warehouse.calltouch_sms"
            " WHERE sent_on BETWEEN %s AND %s",
            FIRST,
            LAST,
        )
    )


def true_rows(centre: Centre) -> Counter[tuple[object, ...]]:
    rows: Counter[tuple[object, ...]] = Counter()
    for site in SITES:
        for row in centre.truth(site, FIRST.isoformat(), LAST.isoformat()):
            rows[
                site,
                instant(row["dateSent"]),
                row["phoneNumber"],
                row["smsStatus"],
                as_kept(row["smsMessage"]),
            ] += 1
    return rows


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%d-%m-%Y %H:%M:%S").replace(tzinfo=ZONE).astimezone(UTC)


def as_kept(text: str) -> str:
    """What Postgres cannot hold is kept as the docs say."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\0", "\u2400"))
