"""The asset ``warehouse/status``: how every source and account stands, as a page of Dagster's UI.

Dagster knows days, not accounts. The page says why a day is red: which account, which receipt or
extraction tells of it, and the one line that mends it. A sensor writes it anew when it changed, without
a run; materializing the asset writes it at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Final

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.monitoring import alarm_delivery
from dagster_project.monitoring.status import Cells, Health, health
from dagster_project.orchestration import literal_config
from dagster_project.pipeline import services
from dagster_project.text.markdown import markdown_table
from dagster_project.text.wording import pluralize

KEY = dg.AssetKey(["warehouse", "status"])
INTERVAL_SECONDS = 60
ANEW_SECONDS = 6 * 3600
_TROUBLES_SHOWN = 200
_ALARMS_SHOWN = 10
_ALARM_SHOWN = 500
"""Characters of an alarm that the page shows; `warehouse alarms` has it whole."""


def status_asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=KEY,
        group_name="warehouse",
        kinds={"postgres"},
        owners=settings.owners,
        config_schema=literal_config.NONE,
        description=(
            "Every source and account on one page: last good day, gaps, what is red and the line that"
            " mends it. The page is below, under `status`; `warehouse status` prints the same."
        ),
    )
    def status() -> dg.MaterializeResult[None]:
        found = _look()
        return dg.MaterializeResult(metadata=_metadata(found, page(found)))

    return status


@dg.sensor(
    name="status_page",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the page anew when something on it changed, and every few hours.",
)
def status_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    found = _look()
    text = page(found)
    shown = hashlib.sha256(text.encode()).hexdigest()[:16]
    before, _, written = (context.cursor or "").partition(" ")
    now = time.time()
    if shown == before and now - float(written) < ANEW_SECONDS:
        return dg.SkipReason("nothing on it changed")
    return dg.SensorResult(
        cursor=f"{shown} {now:.0f}",
        asset_events=[dg.AssetMaterialization(KEY, metadata=_metadata(found, text))],
    )


def _look() -> Health:
    warehouse = services.warehouse()
    with warehouse.connect(what="status", autocommit=True) as connection:
        return health(services.settings(), warehouse, connection)


def _metadata(found: Health, text: str) -> dict[str, dg.MetadataValue]:
    standings = [account.status for account in found.accounts]
    return {
        "status": dg.MetadataValue.md(text),
        "red days": dg.MetadataValue.int(sum(len(entry.days) for entry in found.red_days)),
        "gaps": dg.MetadataValue.int(sum(len(standing.gaps) for standing in standings)),
        "unsettled days": dg.MetadataValue.int(sum(len(s.unsettled) for s in standings)),
        "open alarms": dg.MetadataValue.int(len(found.alarms)),
        "as of": dg.MetadataValue.timestamp(found.taken_at),
    }


def page(found: Health) -> str:
    """The page as Markdown; without the moment it was taken, so that equal states give equal pages."""
    parts = [_headline(found)]
    if found.red_days:
        parts.append("### Red days\n\n" + "\n".join(_trouble_lines(found)))
    if found.alarms:
        parts.append("### Open alarms\n\n" + "\n".join(_alarm_lines(found)))
    parts.append("### Accounts\n\n" + _accounts_table(found))
    notices = list(_notices(found))
    if notices:
        parts.append("### Also\n\n" + "\n".join(f"- {_plain(notice)}" for notice in notices))
    return "\n\n".join(parts)


def _headline(found: Health) -> str:
    return f"**{found.summarize()}.**{' Each line mends its days.' if found.red_days else ''}"


def _trouble_lines(found: Health) -> Iterator[str]:
    for entry in found.red_days[:_TROUBLES_SHOWN]:
        told = f" ({entry.recorded_in})" if entry.recorded_in else ""
        yield (
            f"- **{entry.source} {_plain(entry.account)}**, {entry.shown_days}:"
            f" {_plain(entry.why)}{told}  \n  {' '.join(f'`{hint}`' for hint in entry.shown_hints)}"
        )
    if len(found.red_days) > _TROUBLES_SHOWN:
        yield f"- … and {len(found.red_days) - _TROUBLES_SHOWN} more"


def _alarm_lines(found: Health) -> Iterator[str]:
    for one in found.alarms[:_ALARMS_SHOWN]:
        when = f"{one.raised_at:%Y-%m-%d %H:%M} UTC, " if one.raised_at else ""
        run = f" ([run {one.run_id[:8]}](/runs/{one.run_id}))" if one.run_id else ""
        what = one.what[:_ALARM_SHOWN] if one.kind == "check_failed" else ""
        yield f"- {when}{_plain(f'{alarm_delivery.title_of([one])} {what}')}{run}"
    if len(found.alarms) > _ALARMS_SHOWN:
        yield f"- … and {len(found.alarms) - _ALARMS_SHOWN} more"


def _accounts_table(found: Health) -> str:
    """A row an account; columns that say nothing of anybody are left out, the page is narrow."""
    columns = found.columns_to_show(_CELLS, _ALWAYS)
    rows = [[_CELLS[name](account) for name in columns] for account in found.accounts]
    return markdown_table(columns, rows, left=len(_LEFT))


_CELLS: Final[Cells] = {
    "account": lambda account: f"{account.status.source} {account.status.account}",
    "last good day": lambda account: str(account.status.last_good_day or "none"),
    "days": lambda account: f"{account.status.days:,}",
    "rows": lambda account: f"{account.status.rows:,}",
    "gaps": lambda account: _warn(len(account.status.gaps)),
    "unsettled": lambda account: f"{len(account.status.unsettled):,}",
    "held": lambda account: _warn(len(account.status.held)),
    "rejects": lambda account: _warn(account.status.rejects),
    "asked for": lambda account: str(account.requested_left or ""),
    "points left": lambda account: str(account.points or ""),
}
_LEFT: Final = ("account", "last good day")
_ALWAYS: Final = (*_LEFT, "days", "rows", "gaps", "unsettled")


def _notices(found: Health) -> Iterator[str]:
    for source, missing in found.left_out.items():
        yield f"{source}: left out, no credentials ({', '.join(missing)} not set)"
    for account in found.accounts:
        s = account.status
        for notice in account.notices:
            yield f"{s.source} {s.account}: {notice}"
        if s.failing and s.last_failed_at is not None:
            when = f"{s.last_failed_at:%Y-%m-%d %H:%M} UTC"
            yield f"{s.source} {s.account}: last attempt failed at {when}: {s.last_failure}"
    for channel, count, failure in found.undelivered:
        yield f"{channel}: not delivered yet: {pluralize(count, 'alarm')}: {failure}"


def _warn(count: int) -> str:
    return f"**{count}**" if count else "0"


def _plain(text: str) -> str:
    """On one line, and nothing in it that Markdown would take for a table's or a link's mark."""
    return " ".join(text.split()).translate(_MARKS)


_MARKS = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
