"""What happened at a played Trust company: a pure function of seed, company, day and moment.

A day's campaigns are programmed evenly over its 24 hours; what was programmed is sent or fails
within three days, and devices report what became of it over five. So a day's figures move for five
days after it, and sums over days are sums of their days, but for ``campaign``, which counts
distinct campaigns: a campaign runs for several days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dagster_project.sandbox.world import World

HOURS_TO_SEND = 72
HOURS_TO_REPORT = 120
CAMPAIGN_LASTS_DAYS = 3


@dataclass(frozen=True, slots=True)
class Day:
    """The figures of one day as they stand at some moment, by the vendor's names."""

    total: int = 0
    sended: int = 0
    pending: int = 0
    fails: int = 0
    received: int = 0
    pressed: int = 0
    closed: int = 0
    unknown: int = 0
    opened: int = 0
    campaigns: frozenset[int] = frozenset()

    def __add__(self, other: Day) -> Day:
        return Day(
            self.total + other.total,
            self.sended + other.sended,
            self.pending + other.pending,
            self.fails + other.fails,
            self.received + other.received,
            self.pressed + other.pressed,
            self.closed + other.closed,
            self.unknown + other.unknown,
            self.opened + other.opened,
            self.campaigns | other.campaigns,
        )


def figures_of_day(
    world: World, company: int, day: date, at: datetime, zone: ZoneInfo, volume: int
) -> Day:
    """What is known at ``at`` of a local day; nothing before the day has begun."""
    begins = datetime.combine(day, datetime.min.time(), zone)
    hours = (at - begins) / timedelta(hours=1)
    draw = world.random("trust", company, day)
    weekday_share = 0.4 if day.weekday() >= 5 else 1.0
    programmed = int(draw.integers(volume // 2, volume * 3 // 2 + 1) * weekday_share)
    shares = draw.uniform((0.02, 0.80, 0.05, 0.10, 0.00), (0.10, 0.97, 0.20, 0.30, 0.02))
    quiet_day = draw.random() < 0.1
    if hours <= 0 or quiet_day:
        return Day()
    total = int(programmed * min(1.0, hours / 24))
    pending = int(total * 0.2 * max(0.0, 1 - hours / HOURS_TO_SEND))
    fails = int((total - pending) * shares[0])
    sended = total - pending - fails
    reported = min(1.0, hours / HOURS_TO_REPORT)
    received = int(sended * shares[1] * reported)
    pressed = int(received * shares[2])
    return Day(
        total=total,
        sended=sended,
        pending=pending,
        fails=fails,
        received=received,
        pressed=pressed,
        closed=int((received - pressed) * shares[3]),
        unknown=int((sended - received) * shares[4] * reported),
        opened=int(received * 0.5),
        campaigns=campaigns_of(company, day) if total else frozenset(),
    )


def campaigns_of(company: int, day: date) -> frozenset[int]:
    """The campaigns that run on a day: one begins every other day and lasts for three."""
    number = day.toordinal()
    return frozenset(
        company * 1_000_000 + begun
        for begun in range(number - CAMPAIGN_LASTS_DAYS + 1, number + 1)
        if begun % 2 == company % 2
    )
