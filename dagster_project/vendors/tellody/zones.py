"""Read the time zone of a Joda-Time object or a text: its id, and its clock.

Joda writes ids of the tz database, ``UTC``, and fixed offsets such as ``+03:00``. The id is kept as it is, even if the
tz database does not know it; then it has no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from dagster_project.vendors.tellody.chronologies import NOT_ISO, is_marked_not_iso

ZONE_MISSING = "zone_missing"
ZONE_UNKNOWN = "zone_unknown"

# Names that a machine resolves to its own setting, or to a time scale with leap seconds.
_NOT_PLACES = re.compile(r"(localtime|posixrules|Factory)$|(posix|right)/")
_OFFSET_ID = re.compile(
    r"(?:UTC|GMT|UT)?([+-])(\d{2})(?::?([0-5]\d)(?::?([0-5]\d)(?:\.(\d{1,3}))?)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as the value names it; ``clock`` is ``None`` if the tz database has no such id."""

    id: str
    clock: tzinfo | None
    notes: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()


def zone_of(blob: Mapping[str, Any], default_zone: ZoneInfo) -> Zone:
    """The zone of an object: ``zone.id``, else ``chronology.zone.id``, else the account's.

    An object with neither ``zone`` nor ``millis`` is a ``LocalDateTime``: that class keeps its wall time in a
    chronology of UTC, whatever its place.
    """
    chronology = blob.get("chronology")
    zone = blob.get("zone")
    other = (NOT_ISO,) if is_marked_not_iso(chronology) else ()
    inner = zone.get("uncachedZone") if isinstance(zone, Mapping) else None
    named = {
        "zone.id": _id_in(zone),
        "chronology.zone.id": _id_in(chronology.get("zone"))
        if isinstance(chronology, Mapping)
        else None,
        "zone.uncachedZone.id": _id_in(inner),
    }
    if zone is None and blob.get("millis") is None and named["chronology.zone.id"] == "UTC":
        named["chronology.zone.id"] = None
    given = [name for name, zone_id in named.items() if zone_id is not None]
    if not given:
        return Zone(str(default_zone), default_zone, (ZONE_MISSING, *other))
    chosen = named[given[0]] or ""
    clock = clock_of(chosen)
    return Zone(
        chosen,
        clock,
        other if clock else (ZONE_UNKNOWN, *other),
        tuple(name for name in given if named[name] != chosen),
    )


@lru_cache(maxsize=4096)
def clock_of(zone_id: str) -> tzinfo | None:
    """The clock of an id of the tz database, or of a fixed offset (``+03:00``); ``None``: unknown."""
    if zone_id in ("UTC", "Z", "UT"):
        return UTC
    if match := _OFFSET_ID.fullmatch(zone_id):
        return _fixed_offset(*match.groups())
    if _NOT_PLACES.match(zone_id):
        return None
    try:
        return ZoneInfo(zone_id)
    except (OSError, ValueError, KeyError):
        return None


def _id_in(zone: Any) -> str | None:
    if isinstance(zone, Mapping):
        zone = zone.get("id")
    return None if zone is None else str(zone)


def _fixed_offset(
    sign: str, hours: str, minutes: str | None, seconds: str | None, fraction: str | None
) -> tzinfo | None:
    offset = timedelta(
        hours=int(hours),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        milliseconds=int((fraction or "0").ljust(3, "0")),
    )
    if offset >= timedelta(days=1):
        return None
    return timezone(offset if sign == "+" else -offset) if offset else UTC
