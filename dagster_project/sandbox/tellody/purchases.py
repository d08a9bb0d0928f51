"""Purchases of credits at a played Tellody account, and how the vendor writes them.

Text, not floats: ``amount`` and ``credits`` are the very characters of the answer. ``shape`` says how
the date is written; ``row`` tells what the warehouse should hold of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dagster_project.sandbox.world import World

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFERS = (("4.90", "100.0"), ("19.90", "500.0"), ("34.9", "1000.0"), ("1.49e2", "5000"))
METHODS = ("Paypal", "Credit card", "Bank transfer")
UNDATABLE_SHAPES = ("null", "day_only")
UNKNOWN_ZONE = "Europe/Atlantis"


@dataclass(frozen=True, slots=True)
class Purchase:
    """All but ``payment_id``, ``millis``, ``zone`` and ``shape`` are JSON as the answer holds it."""

    payment_id: int
    millis: int
    zone: str
    shape: str = "full"
    amount: str = "4.9"
    credits: str = "100.0"
    months: str = "null"
    payment_method: str = '"Paypal"'
    card_last_digits: str = "null"
    account_type: str = "null"
    invoice_history: str = "null"

    def to_json(self) -> str:
        return (
            f'{{"amount":{self.amount},"months":{self.months},'
            f'"paymentMethod":{self.payment_method},"cardLastDigits":{self.card_last_digits},'
            f'"accountType":{self.account_type},"invoiceHistory":{self.invoice_history},'
            f'"paymentId":{self.payment_id},"date":{json.dumps(self.date())},'
            f'"credits":{self.credits}}}'
        )

    def date(self) -> Any:
        """The date in its shape, as Jackson writes a Joda-Time ``DateTime``, or less of it."""
        wall = self._wall(self._told_in())
        blob = _blob(self.millis, wall, self._told_in())
        return {
            "full": blob,
            "offset": blob,
            "utc": blob,
            "unknown": blob | {"zone": {"fixed": False, "id": UNKNOWN_ZONE}, "chronology": None},
            "contradicting": blob | {"hourOfDay": (wall.hour + 1) % 24, "dayOfMonth": 99},
            "millis": {"millis": self.millis},
            "fields": {name: value for name, value in blob.items() if name != "millis"},
            "number": self.millis,
            "iso": f"{wall.isoformat(timespec='milliseconds')}{self._offset()}",
            "null": None,
            "day_only": wall.date().isoformat(),
        }[self.shape]

    def row(self, account_zone: ZoneInfo) -> dict[str, Any] | None:
        """The true row, numbers as text; ``None`` where nobody could date it."""
        if self.shape in UNDATABLE_SHAPES:
            return None
        at = EPOCH + timedelta(milliseconds=self.millis)
        recorded_in = {
            "unknown": UNKNOWN_ZONE,
            "millis": str(account_zone),
            "number": str(account_zone),
            "iso": self._offset(),
        }.get(self.shape, self._told_in())
        return {
            "purchased_on": at.astimezone(account_zone).date().isoformat(),
            "payment_id": self.payment_id,
            "purchased_at": at.isoformat(),
            "time_zone": recorded_in,
            "amount": self.amount,
            "credits": self.credits,
            "months": json.loads(self.months),
            "payment_method": json.loads(self.payment_method),
            "card_last_digits": json.loads(self.card_last_digits),
            "account_type": json.loads(self.account_type),
            "invoice_history": None if self.invoice_history == "null" else self.invoice_history,
        }

    def _told_in(self) -> str:
        return {"offset": self._offset(), "utc": "UTC"}.get(self.shape, self.zone)

    def _wall(self, zone: str) -> datetime:
        at = EPOCH + timedelta(milliseconds=self.millis)
        if self.shape == "offset":
            zone = self.zone
        return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    def _offset(self) -> str:
        at = (EPOCH + timedelta(milliseconds=self.millis)).astimezone(ZoneInfo(self.zone))
        return at.isoformat()[-6:]


def _blob(millis: int, wall: datetime, zone_id: str) -> dict[str, Any]:
    zone = {"fixed": zone_id[:1] in "+-U", "id": zone_id}
    zone = {"uncachedZone": {"cachable": True, **zone}, **zone}
    iso = wall.isocalendar()
    of_day = (wall - datetime.combine(wall.date(), datetime.min.time())) // timedelta(
        milliseconds=1
    )
    return {
        "millis": millis,
        "minuteOfDay": of_day // 60_000,
        "centuryOfEra": wall.year // 100,
        "weekOfWeekyear": iso.week,
        "dayOfMonth": wall.day,
        "zone": zone,
        "yearOfCentury": wall.year % 100,
        "equalNow": False,
        "hourOfDay": wall.hour,
        "afterNow": False,
        "dayOfYear": wall.timetuple().tm_yday,
        "year": wall.year,
        "era": 1,
        "weekyear": iso.year,
        "millisOfDay": of_day,
        "minuteOfHour": wall.minute,
        "yearOfEra": wall.year,
        "monthOfYear": wall.month,
        "chronology": {"zone": zone},
        "secondOfMinute": wall.second,
        "millisOfSecond": of_day % 1000,
        "secondOfDay": of_day // 1000,
        "beforeNow": True,
        "dayOfWeek": iso.weekday,
    }


def drawn_purchases(
    world: World, first: datetime, every: timedelta, zone: str, shapes: list[str], until: datetime
) -> list[Purchase]:
    """Purchases up to a moment, one in each span of ``every``, oldest first, numbered from 1.

    A date written without ``millis`` in an hour that repeats would not be told apart from its
    earlier reading, so those are written whole.
    """
    count = max((until - first) // every, 0)
    draw = world.random("tellody", "purchases")
    purchases = []
    for number in range(count):
        share, offer, method, shape = draw.random(4)
        at = first + (number + share) * every
        amount, credits = OFFERS[int(offer**2 * len(OFFERS))]
        purchase = Purchase(
            payment_id=number + 1,
            millis=(at - EPOCH) // timedelta(milliseconds=1),
            zone=zone,
            shape=shapes[int(shape * len(shapes))],
            amount=amount,
            credits=credits,
            payment_method=json.dumps(METHODS[int(method * len(METHODS))]),
            card_last_digits=f'"{number % 10_000:04}"' if method > 1 / 3 else "null",
        )
        if purchase.shape == "fields" and at.astimezone(ZoneInfo(zone)).fold:
            purchase = replace(purchase, shape="full")
        if at <= until:
            purchases.append(purchase)
    return purchases
