"""What was asked of the sandbox: the figures that tests hold against limits and receipts."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from typing import Any

SECOND_NS = 1_000_000_000
LOGGED_CALLS = 20_000


class Stats:
    """Counts by vendor, path and status; arrivals by vendor to find the busiest second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resets = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew. What is answered later, but came before, is not counted."""
        with self._lock:
            self._resets += 1
            self._answers: Counter[tuple[str, str, str]] = Counter()
            self._arrivals: dict[str, list[tuple[int, int]]] = defaultdict(list)
            self._limited: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._points: Counter[tuple[str, str, str]] = Counter()
            self._log: deque[dict[str, Any]] = deque(maxlen=LOGGED_CALLS)

    def arrived(self, vendor: str, earliest: int, seen: int) -> int:
        """A request came between these two instants (monotonic, ns). Answers how often the
        figures had been reset by then, for ``answered``."""
        with self._lock:
            self._arrivals[vendor].append((earliest, seen))
            return self._resets

    def answered(
        self,
        resets: int,
        vendor: str,
        path: str,
        status: int | str,
        account: str | None = None,
        page: int | None = None,
    ) -> None:
        """``status`` is the HTTP status, or what became of the call: ``reset``, ``hung`` …"""
        with self._lock:
            if resets != self._resets:
                return
            self._answers[vendor, path, str(status)] += 1
            self._log.append(
                {
                    "vendor": vendor,
                    "path": path,
                    "status": str(status),
                    "account": account,
                    "page": page,
                }
            )

    def calls(self, vendor: str | None = None) -> list[dict[str, Any]]:
        """The latest calls in the order in which they were answered."""
        with self._lock:
            return [call for call in self._log if vendor in (None, call["vendor"])]

    def limited(self, vendor: str) -> None:
        """A request over the vendor's own rate limit was answered 429."""
        with self._lock:
            self._limited[vendor] += 1

    def played(self, kind: str) -> None:
        with self._lock:
            self._faults[kind] += 1

    def spend(self, vendor: str, account: str, day: str, points: int) -> int:
        """Book points; answers what the account has spent on that day."""
        with self._lock:
            self._points[vendor, account, day] += points
            return self._points[vendor, account, day]

    def spent(self, vendor: str, account: str, day: str) -> int:
        with self._lock:
            return self._points[vendor, account, day]

    def limited_calls(self, vendor: str) -> int:
        """How many 429 this vendor's rate limit drew; scripted ones are not counted."""
        with self._lock:
            return self._limited[vendor]

    def requests(self, vendor: str) -> int:
        """How many requests arrived, whatever became of them."""
        with self._lock:
            return len(self._arrivals[vendor])

    def busiest_second(self, vendor: str) -> int:
        """The most requests that came in any sliding second, for all the sandbox can tell."""
        with self._lock:
            arrivals = sorted(self._arrivals[vendor], key=lambda arrival: arrival[1])
        seen = [arrival[1] for arrival in arrivals]
        return max(
            (
                bisect_left(seen, earliest + SECOND_NS) - place
                for place, (earliest, _) in enumerate(arrivals)
            ),
            default=0,
        )

    def as_dict(self) -> dict[str, Any]:
        with self._lock:
            vendors = sorted(self._arrivals)
            answers = [
                {"vendor": vendor, "path": path, "status": status, "count": count}
                for (vendor, path, status), count in sorted(self._answers.items())
            ]
            points = [
                {"vendor": vendor, "account": account, "day": day, "points": spent}
                for (vendor, account, day), spent in sorted(self._points.items())
            ]
            limited, faults = dict(self._limited), dict(self._faults)
        return {
            "answers": answers,
            "requests": {vendor: self.requests(vendor) for vendor in vendors},
            "rate_limited": limited,
            "faults": faults,
            "points": points,
            "busiest_second": {vendor: self.busiest_second(vendor) for vendor in vendors},
        }
