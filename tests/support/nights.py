"""Nights, played: the vendors' clock and the program's are set to the same moments.

The sandbox stands still at each moment; the program's clock runs from it (``clock.CLOCK_FILE``), so
that observations have an order. Both are the past of real time, so that Dagster has the partitions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagster_project.clock import CLOCK_FILE
from dagster_project.model.window import Account, each_day
from dagster_project.pipeline import services
from dagster_project.sandbox.server import Sandbox
from tests.support.operating import House, feed_of

MOSCOW = ZoneInfo("Europe/Moscow")
QUIET, OTHER = "501", "502"
BUSY = "503"
"""Each of its days fills a page, and so costs a call of its own."""
NIGHT = datetime(2024, 5, 10, 2, 30, tzinfo=MOSCOW)
YESTERDAY = date(2024, 5, 9)
"""Yesterday in the first night."""
SANTIAGO_NIGHT = datetime(2024, 5, 10, 2, 45, tzinfo=ZoneInfo("America/Santiago"))
ONE_NIGHT = timedelta(days=1)
EMPTIED = (
    *("raw.response", "ops.extraction", "ops.load_receipt", "ops.day_state", "ops.rejected_record"),
    *("ops.account_start", "ops.wanted_range", "ops.point_ledger", "ops.point_reservation"),
    *("ops.range_proof", "ops.reconciliation", "ops.alarm"),
    "ops.check_outcome",
    *("warehouse.calltouch_sms", "warehouse.tellody_activity"),
    *("warehouse.tellody_credit_purchase", "warehouse.trust_campaign_statistics"),
)
SHOWN = "DD-MM-YYYY HH24:MI:SS"


@dataclass(frozen=True)
class Request:
    """A run that a tick requested."""

    first: date
    last: date
    run_key: str

    @classmethod
    def of(cls, request: dg.RunRequest) -> Request:
        tags = request.tags
        first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        return cls(date.fromisoformat(first), date.fromisoformat(last), request.run_key or "")

    @property
    def days(self) -> list[date]:
        return list(each_day(self.first, self.last))


class PlayedClock:
    """The moment that vendors and program are at."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock"

    @property
    def setting(self) -> dict[str, str]:
        return {CLOCK_FILE: str(self.file)}

    def go(self, moment: datetime, sandbox: Sandbox | None = None) -> None:
        shift = (moment - datetime.now(UTC)).total_seconds()
        draft = self.file.with_suffix(".draft")
        draft.write_text(str(shift))
        draft.replace(self.file)
        if sandbox is not None:
            sandbox.world.clock.set(moment, running=False)


class Nights:
    """A house in which nights pass; ticks and runs happen in this process."""

    def __init__(self, house: House, sandbox: Sandbox, played: PlayedClock) -> None:
        self.house = house
        self.sandbox = sandbox
        self.played = played

    def go(self, moment: datetime) -> None:
        self.played.go(moment, self.sandbox)

    def begin_anew(self, moment: datetime) -> None:
        """An empty warehouse, faultless vendors, the settings that the house began with."""
        services.settings.cache_clear()
        self.house.__dict__.pop("definitions", None)
        self.sandbox.begin_anew()
        self.sandbox.world.trust.config.range_mode = "honour"
        with self.house.warehouse.connect_admin() as connection:
            connection.execute(f"TRUNCATE {', '.join(EMPTIED)} CASCADE".encode())
        self._seen = 0
        self.go(moment)

    def settings(self, patch: pytest.MonkeyPatch, **given: str) -> None:
        """From now on, until the test ends, with these settings instead."""
        for name, value in given.items():
            patch.setenv(name, value)
        services.settings.cache_clear()
        self.house.__dict__.pop("definitions", None)

    def tick(self, source: str = "calltouch") -> list[Request]:
        """What the source's schedule requests at this moment."""
        definitions = self.house.definitions
        schedule = definitions.resolve_schedule_def(f"nightly_{source}")
        with dg.build_schedule_context(
            self.house.instance,
            scheduled_execution_time=self.sandbox.world.clock.now(),
            repository_def=definitions.get_repository_def(),
        ) as context:
            data = schedule.evaluate_tick(context)
        return [Request.of(request) for request in data.run_requests or []]

    def run(self, request: Request, source: str = "calltouch") -> bool:
        return self.house.refresh(request.days, source, only_due=True)

    def pass_night(self, source: str = "calltouch") -> tuple[list[Request], bool]:
        """A tick and its runs; answers what was requested and whether all of it succeeded."""
        requests = self.tick(source)
        succeeded = [self.run(request, source) for request in requests]
        return requests, all(succeeded)

    def failures(self) -> list[str]:
        """What the steps of failed runs said, latest run first."""
        runs = self.house.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        found = []
        for run in runs[:1]:
            for entry in self.house.instance.all_logs(run.run_id):
                event = entry.dagster_event
                if event is not None and event.is_step_failure:
                    data = event.step_failure_data.user_failure_data
                    found.append(str(data.description if data else event.message))
        return found

    def asked(self, source: str = "calltouch") -> list[tuple[str, date, date]]:
        """Windows asked since last asked for, by account: newest first."""
        found = self.house.rows(
            "SELECT account, first_day, last_day FROM ops.extraction WHERE source = %s"
            " AND extraction_id > %s ORDER BY account, last_day DESC",
            source,
            self._seen,
        )
        self._seen = self.house.rows("SELECT max(extraction_id) FROM ops.extraction")[0][0]
        return [(account, first, last) for account, first, last in found]

    _seen = 0

    def asked_days(self, account: str, source: str = "calltouch") -> list[date]:
        return sorted(
            day
            for label, first, last in self.asked(source)
            for day in each_day(first, last)
            if label == account
        )

    def settled(self, account: str, source: str = "calltouch") -> dict[date, bool]:
        return dict(
            self.house.rows(
                "SELECT day, settled FROM ops.day_state WHERE source = %s AND account = %s"
                " ORDER BY day",
                source,
                account,
            )
        )


def sms_of(house: House, site: str, zone: ZoneInfo, day: date) -> Counter[tuple[Any, ...]]:
    """A day's rows as the vendor told them, with their multiplicity."""
    return Counter(
        house.rows(
            f"SELECT phone, to_char(sent_at AT TIME ZONE '{zone.key}', '{SHOWN}'), status,"
            " status_detail, message FROM warehouse.calltouch_sms"
            " WHERE site_id = %s::bigint AND sent_on = %s",
            site,
            day,
        )
    )


def observed_at(house: House, site: str, day: date) -> datetime:
    [(at,)] = house.rows(
        "SELECT observed_at FROM ops.day_state WHERE source = 'calltouch' AND account = %s"
        " AND day = %s",
        site,
        day,
    )
    found: datetime = at
    return found


def truth_of(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The same of rows as the sandbox tells its truth."""
    names = ("phoneNumber", "dateSent", "smsStatus", "smsStatusDetail", "smsMessage")
    return Counter(tuple(_stored(row[name]) for name in names) for row in rows)


def _stored(text: str) -> str:
    """As Postgres can keep it."""
    text = text.replace("\0", "␀")
    return "".join("�" if "\ud800" <= sign <= "\udfff" else sign for sign in text)


def days(first: int, last: int = 1) -> list[date]:
    """Counted back from the first night's today: 1 is yesterday. Ascending."""
    return [NIGHT.date() - timedelta(days=n) for n in range(first, last - 1, -1)]


def account_of(house: House, source: str = "calltouch") -> Account:
    """The one account that the house is set up with."""
    [account] = feed_of(source).accounts(house.settings)
    return account
