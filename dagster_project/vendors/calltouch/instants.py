"""Read the vendor's local times (``01-04-2024 15:05:32``, no offset) and convert them to instants.

In an hour that a clock change repeats, the first instant is taken, and counted (``ambiguous_hour``). A time that
a clock change skips is read with the offset before the change, and counted (``skipped_hour``). The day of an SMS
is the day as written; if an offset is written, the instant's day in the site's time zone.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001 (wall times have no offset yet)
AMBIGUOUS: Final = "ambiguous_hour"
SKIPPED: Final = "skipped_hour"
_Reading = tuple[int, str | None]
"""A UTC offset in seconds, and the reason if it was chosen from two."""

_UTC: Final = ZoneInfo("UTC")
HOUR: Final = 3600
DAY: Final = 86400

_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DAY_FIRST: Final = re.compile(
    f"(?P<d>[0-9]{{2}})[-.](?P<m>[0-9]{{2}})[-.](?P<y>[0-9]{{4}}) (?P<time>{_TIME})"
)
_YEAR_FIRST: Final = re.compile(
    f"(?P<y>[0-9]{{4}})[-.](?P<m>[0-9]{{2}})[-.](?P<d>[0-9]{{2}}) (?P<time>{_TIME})"
)
_OFFSET = "Z|z|(?!-00:?00)[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?"
_ISO: Final = re.compile(
    f"(?:[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_TIME}"
    f"|[0-9]{{8}}[Tt](?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9])(?:[.,][0-9]{{1,9}})?"
    f"(?P<offset>{_OFFSET})?"
)
DOCUMENTED: Final = "dd-mm-yyyy HH:MM:SS"
_DIGIT: Final = re.compile("[0-9]")
_LETTER: Final = re.compile(r"[^\W\d_]")
LONGEST_FORM: Final = 40


class SentAt(NamedTuple):
    """A time as read: ``wall`` in the site's zone, in whole seconds.

    ``instant`` is set if an offset was written; ``form`` names a form other than the documented one.
    """

    wall: datetime
    instant: datetime | None = None
    form: str | None = None


def read_sent(written: str, zone: ZoneInfo) -> SentAt | None:
    """Read the documented form, year first, or ISO 8601 to the second; else ``None``: nothing is guessed.

    Fractions of a second are cut off, so that a time has one key however it is written.
    """
    if (match := _DAY_FIRST.fullmatch(written)) is not None:
        wall = _read_match(match)
        return SentAt(wall) if wall else None
    if (match := _YEAR_FIRST.fullmatch(written)) is not None:
        wall = _read_match(match)
        return SentAt(wall, form="yyyy-mm-dd HH:MM:SS") if wall else None
    moment = _read_iso(written)
    if moment is None:
        return None
    if moment.tzinfo is None:
        return SentAt(moment, form="ISO 8601")
    try:
        local = moment.astimezone(zone)
    except OverflowError:
        return None
    return SentAt(local.replace(tzinfo=None), moment, "ISO 8601 with an offset")


def _read_match(match: re.Match[str]) -> datetime | None:
    try:
        return datetime.fromisoformat("{y}-{m}-{d}T{time}".format_map(match.groupdict()))
    except ValueError:
        return None


def _read_iso(written: str) -> datetime | None:
    if _ISO.fullmatch(written) is None:
        return None
    try:
        return datetime.fromisoformat(written.upper()).replace(microsecond=0)
    except ValueError:
        return None


def read_wall_time(written: str) -> datetime | None:
    """Read a wall time without an offset, in any form that ``read_sent`` reads; else ``None``."""
    sent = read_sent(written, _UTC)
    return sent.wall if sent is not None and sent.instant is None else None


def latest_day(written: str) -> date | None:
    """The last day that a time can be on in any time zone; without an offset, the day as written."""
    sent = read_sent(written, _UTC)
    if sent is None:
        return None
    return sent.wall.date() if sent.instant is None else sent.wall.date() + timedelta(days=1)


def cut_to_hour(written: str) -> str | None:
    """Set minute and second to zero, in a form that is read as the same hour."""
    wall = read_wall_time(written)
    if wall is not None:
        return write_wall_time(wall.replace(minute=0, second=0))
    moment = _read_iso(written)
    return None if moment is None else moment.replace(minute=0, second=0).isoformat()


def form_of(written: str) -> str:
    """The form of a text: its digits as 9, its letters as a."""
    return _LETTER.sub("a", _DIGIT.sub("9", written))[:LONGEST_FORM]


def write_wall_time(wall: datetime) -> str:
    """Write a wall time in the form that keys use: ``dd-mm-yyyy HH:MM:SS``."""
    return f"{wall.day:02}-{wall.month:02}-{wall.year:04} {wall:%H:%M:%S}"


def read_wall_times(characters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read many wall times at once, from a matrix of 19 characters a row, day first.

    Returns seconds since 2000-01-01 on the wall, and which rows could be read.
    """
    columns = characters.T
    digits = columns[_DIGITS] - np.uint8(ord("0"))
    readable = (digits < 10).all(axis=0) & (columns[_MARKS] == _MARK_VALUES).all(axis=0)
    readable &= _IS_DATE_MARK[columns[2]] & _IS_DATE_MARK[columns[5]]
    day, month, century, year, hour, minute, second = digits[0::2] * np.int64(10) + digits[1::2]
    months = (century * 100 + year - 1970) * 12 + month - 1
    first_of_month = months.astype("datetime64[M]")
    days = first_of_month.astype("datetime64[D]") + (day - 1)
    readable &= (month >= 1) & (month <= 12) & (days.astype("datetime64[M]") == first_of_month)
    readable &= (hour < 24) & (minute < 60) & (second < 60) & (century + year > 0)
    since_2000 = (days - np.datetime64("2000-01-01", "D")).astype(np.int64)
    return since_2000 * DAY + hour * HOUR + minute * 60 + second, readable


_DIGITS: Final = [0, 1, 3, 4, 6, 7, 8, 9, 11, 12, 14, 15, 17, 18]
_MARKS: Final = [10, 13, 16]
_MARK_VALUES: Final = np.frombuffer(b" ::", np.uint8).reshape(3, 1)
_IS_DATE_MARK: Final = np.isin(np.arange(256), [ord("-"), ord(".")])


class LocalClock:
    """Converts wall seconds of one time zone to UTC seconds, both since 2000-01-01; caches offsets by hour."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._hours: dict[int, _Reading | None] = {}

    def to_utc(self, wall: NDArray[np.int64], counts: Counter[str]) -> NDArray[np.int64]:
        """Convert wall times; ambiguous and skipped ones are counted in ``counts``."""
        hours, hour_of_row, rows = np.unique(wall // HOUR, return_inverse=True, return_counts=True)
        readings = [self._reading_of_hour(hour) for hour in hours.tolist()]
        offsets = np.array([reading[0] if reading else 0 for reading in readings], np.int64)
        utc = wall - offsets[hour_of_row]
        for number, reading in enumerate(readings):
            if reading is None:
                for row in np.flatnonzero(hour_of_row == number):
                    utc[row] = self.read(int(wall[row]), counts)
            elif reading[1]:
                counts[reading[1]] += int(rows[number])
        return utc

    def read(self, wall: int, counts: Counter[str]) -> int:
        """Convert one wall second."""
        offset, choice = self._reading_at(wall)
        if choice:
            counts[choice] += 1
        return wall - offset

    def _reading_of_hour(self, hour: int) -> _Reading | None:
        """The offset of a whole local hour; ``None`` if the clock changes within it."""
        if hour not in self._hours:
            first, last = self._reading_at(hour * HOUR), self._reading_at(hour * HOUR + HOUR - 1)
            self._hours[hour] = first if first == last else None
        return self._hours[hour]

    def _reading_at(self, wall: int) -> _Reading:
        moment = EPOCH + timedelta(seconds=wall)
        before, after = (
            int((self.zone.utcoffset(moment.replace(fold=fold)) or timedelta()).total_seconds())
            for fold in (0, 1)
        )
        if before == after:
            return before, None
        return before, AMBIGUOUS if before > after else SKIPPED
