"""The asset ``warehouse/status``: how every source and account stands, as a page of Dagster's UI.

Dagster knows days, not accounts. The page says why a day is red: which account, which receipt or
extraction tells of it, and the one line that mends it. A sensor writes it anew when it changed, without
a run; materializing the asset writes it at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import dagster as dg

from dagster_project.health import Health, health
from dagster_project.orchestration import services

KEY = dg.AssetKey(["warehouse", "status"])
INTERVAL_SECONDS = 60
ANEW_SECONDS = 6 * 3600
_TROUBLES_SHOWN = 200


def status_asset() -> dg.AssetsDefinition:
    @dg.asset(
        key=KEY,
        group_name="warehouse",
        kinds={"postgres"},
        description=(
            "Every source and account on one page: last good day, gaps, what is red and the line that"
            " mends it. Its latest materialization holds the page, under `status`."
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
    standings = [account.standing for account in found.accounts]
    return {
        "status": dg.MetadataValue.md(text),
        "red days": dg.MetadataValue.int(sum(len(trouble.days) for trouble in found.troubles)),
        "gaps": dg.MetadataValue.int(sum(len(standing.gaps) for standing in standings)),
        "unsettled days": dg.MetadataValue.int(sum(len(s.unsettled) for s in standings)),
        "open alarms": dg.MetadataValue.int(len(found.alarms)),
        "as of": dg.MetadataValue.timestamp(found.taken_at),
    }


def page(found: Health) -> str:
    """The page as Markdown; without the moment it was taken, so that equal states give equal pages."""
    parts = ["\n".join(_account_lines(found))]
    if found.troubles:
        parts.append("### Red days\n\n" + "\n".join(_trouble_lines(found)))
    notices = list(_notices(found))
    if notices:
        parts.append("### Also\n\n" + "\n".join(f"- {_plain(notice)}" for notice in notices))
    return "\n\n".join(parts)


def _account_lines(found: Health) -> Iterator[str]:
    yield _row(
        *("source", "account", "last good day", "loaded days", "rows", "gaps", "unsettled", "held"),
        *("rejects", "asked for", "points left", "last loaded (UTC)"),
    )
    yield _row(*["---"] * 12)
    for account in found.accounts:
        s, points = account.standing, account.points
        yield _row(
            s.source,
            s.account,
            s.last_good_day or "none",
            s.days,
            f"{s.rows:,}",
            _warn(len(s.gaps)),
            len(s.unsettled),
            _warn(len(s.held)),
            _warn(s.rejects),
            account.wanted_left or "",
            "" if points is None else "not bounded" if points.left is None else points.left,
            f"{s.last_loaded_at:%Y-%m-%d %H:%M}" if s.last_loaded_at else "never",
        )


def _trouble_lines(found: Health) -> Iterator[str]:
    yield _row("source", "account", "days", "why", "told in", "way out")
    yield _row(*["---"] * 6)
    for trouble in found.troubles[:_TROUBLES_SHOWN]:
        yield _row(
            trouble.source,
            trouble.account,
            trouble.shown_days,
            _plain(trouble.why),
            trouble.told_in,
            f"`{trouble.way_out}`",
        )
    if len(found.troubles) > _TROUBLES_SHOWN:
        yield _row("…", "", f"{len(found.troubles) - _TROUBLES_SHOWN} more", "", "", "")


def _notices(found: Health) -> Iterator[str]:
    for source, missing in found.left_out.items():
        yield f"{source}: left out, no credentials ({', '.join(missing)} not set)"
    for account in found.accounts:
        s = account.standing
        for notice in account.notices:
            yield f"{s.source} {s.account}: {notice}"
        if s.failing and s.last_failed_at is not None:
            when = f"{s.last_failed_at:%Y-%m-%d %H:%M} UTC"
            yield f"{s.source} {s.account}: last attempt failed at {when}: {s.last_failure}"
    for channel, count, failure in found.untold:
        yield f"{channel}: {count} alarms could not be told yet: {failure}"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _warn(count: int) -> str:
    return f"**{count}**" if count else "0"


def _plain(text: str) -> str:
    """On one line, and nothing in it that Markdown would take for a table's or a link's mark."""
    return " ".join(text.split()).translate(_MARKS)


_MARKS = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
