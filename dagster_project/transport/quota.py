"""One window's claim on a day's API points.

Grain of the ledger: source, account and the vendor-local day on which a call is sent. Points are reserved
before the first call, spent just before each call, refunded if the vendor certainly answered with an error,
and released at the end. Calls whose outcome is unknown stay spent, and so do the calls of a process that
died; its reservation becomes void.

Accounts without a limit keep the ledger too, and are never refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from dagster_project.errors import QuotaSpent
from dagster_project.model.vendor_store import LimitStore
from dagster_project.model.window import Account


class QuotaClaim:
    """A claim on an account's points; end it with ``settle``, or use it with ``with``.

    Args:
        daily: the account's points a day; None: no limit.
        cost: points of one call.
        setting: the setting of the limit, for the hint.
        now: the clock that decides the account's day.
    """

    def __init__(
        self,
        store: LimitStore,
        account: Account,
        daily: int | None,
        cost: int,
        now: Callable[[], datetime],
        setting: str,
    ) -> None:
        self._store, self._account = store, account
        self._daily, self._cost, self._now, self._setting = daily, cost, now, setting
        self._reservation = uuid4()

    def reserve(self, calls: int) -> None:
        """Reserve the points of so many calls still to be sent; replaces an earlier reservation.

        Raises:
            QuotaSpent: the points left today do not suffice.
        """
        day = self._today()
        points = calls * self._cost
        granted, spent, held = self._store.reserve(*self._key(day), points, self._daily)
        if not granted:
            raise self._refusal(day, calls, spent, held)

    def spend_call(self) -> date:
        """Spend the points of one call; return the day on which it counts, for ``refund``.

        Raises:
            QuotaSpent: the points left today do not suffice for this call.
        """
        day = self._today()
        granted, spent, held = self._store.spend(*self._key(day), self._cost, self._daily)
        if not granted:
            raise self._refusal(day, 1, spent, held)
        return day

    def refund(self, day: date) -> None:
        """Refund a call that the vendor certainly did not charge."""
        self._store.refund(*self._key(day), self._cost)

    def describe(self) -> str:
        """Describe the day's points in a sentence."""
        day = self._today()
        spent, held = self._store.read_points(self._account.source, self._account.label, day)
        left = "" if self._daily is None else f" of {self._daily}"
        return (
            f"Counted here for {day}: {spent}{left} points spent, {held} set aside; "
            f"the budget resets at {self._resets_at(day)}."
        )

    def settle(self) -> None:
        """Release what was reserved and not spent."""
        self._store.release(self._reservation)

    def __enter__(self) -> QuotaClaim:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()

    def _today(self) -> date:
        return self._now().astimezone(self._account.time_zone).date()

    def _resets_at(self, day: date) -> str:
        return f"{day + timedelta(days=1)} 00:00 {self._account.time_zone.key}"

    def _key(self, day: date) -> tuple[UUID, str, str, date]:
        return self._reservation, self._account.source, self._account.label, day

    def _refusal(self, day: date, calls: int, spent: int, held: int) -> QuotaSpent:
        daily = self._daily or 0
        calls_text = "1 call" if calls == 1 else f"{calls} calls"
        held_text = f", {held} are set aside by other windows" if held else ""
        refusal = QuotaSpent(
            f"{calls_text} ({calls * self._cost} points) do not fit: of {daily} points for {day} "
            f"{spent} are spent{held_text}, {max(daily - spent - held, 0)} are left; "
            f"the budget resets at {self._resets_at(day)}.",
            source=self._account.source,
            account=self._account.label,
            hint=f"run again after that, or raise {self._setting}.",
        )
        refusal.calls_left = max(daily - spent - held, 0) // self._cost
        return refusal
