"""A vendor that costs next to nothing: Calltouch's pages as bytes made beforehand, in a process of its own.

    python -m benchmarks.vendor --pages-a-day 10 [--latency 1] [--limit 5]

Every day of every site holds ``pages_a_day`` pages of 10,000 SMS. A few pages are drawn at the start;
a page asked for is one of those with its day and three digits of each phone set by NumPy, and kept
while there is room. Two versions of each exist: in the second, 2 % of the statuses have matured. Shuffled,
the same rows come in another order, and pages end elsewhere. With ``--sms-a-day 50`` sites are small: each
day of a site has so many SMS of its own, and a window of up to 200 days is one page.

``POST /_set {"version": 1, "latency": 0.5, "limit": 5, "shuffled": true}`` changes it on the way and answers what was
counted since the last time: pages, answers of 429, and the largest number in any second.
It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections import deque
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ROWS = 10_000
DRAWN = 10
SHARE_CHANGED = 0.02
SHARE_REPEATED = 0.001
KEPT = 120
SHIFT = 3_333
"""Rows by which pages end later where they are shuffled."""
PENDING = ("sent", "Передано оператору")
STATUSES = (
    (("delivered", "Доставлено"), 87),
    (("error", "Невозможно доставить"), 5),
    (("error", "Недоступный номер"), 3),
    (("sent", "Просрочено"), 2),
    (PENDING, 3),
)
NAMES = ("Анна", "Сергей Петрович", "Екатерина", "Дмитрий", "Ольга Ивановна", "Павел")
TEXTS = (
    "{name}, ждём вас завтра в клинике «Улыбка» в {hour}:30. Отменить запись: +7 495 000-{n:04}",
    "Ваш код авторизации: {n:06}. Никому его не сообщайте",
    "{name}, заказ №{n} собран и ждет вас до конца недели. К оплате {m} р. Пункт выдачи открыт до 21:00",
    "Распродажа до -70% в «Тёплом доме» только до воскресенья. Подробнее: https://tdom.example/s/{n:x}",
    "Заказ №{n} передан курьеру, будет у вас сегодня до {hour}:00. Отследить: https://tdom.example/t/{n:x}",
    "{name}, дарим {m} бонусов! Спишите до 30% чека: tdom.example/b/{n:x}\nОтказ от рассылки: tdom.example/u",
    "Your parcel {n} is on its way and arrives today before {hour}:00. Track it: https://tdom.example/p/{n:x}",
    'Новая коллекция "Лён и хлопок" уже в магазинах; приходите за подарком с {hour} до 21 часов',
)


class DrawnPage:
    """A page's rows as bytes, and where in them days and phones stand."""

    def __init__(self, number: int, version: int, size: int = ROWS) -> None:
        draw = random.Random(number)
        change = random.Random(f"changed {number}")
        rows: list[bytes] = []
        self.days, self.phones = np.empty(size, np.int64), np.empty(size, np.int64)
        at = 0
        row: dict[str, str] = {}
        for place in range(size):
            if not row or draw.random() >= SHARE_REPEATED:
                row = _row(draw)
            shown = row
            if change.random() < SHARE_CHANGED and version:
                status, detail = PENDING if row["smsStatus"] == "delivered" else STATUSES[0][0]
                shown = {**row, "smsStatus": status, "smsStatusDetail": detail}
            text = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
            self.phones[place] = at + text.index(b'"phoneNumber":"') + len('"phoneNumber":"') + 2
            self.days[place] = at + text.index(b'"dateSent":"') + len('"dateSent":"')
            rows.append(text)
            at += len(text) + 1
        self.bytes = np.frombuffer(b",".join(rows), np.uint8)

    def of(self, day: date, group: int) -> bytes:
        page: NDArray[np.uint8] = self.bytes.copy()
        written = np.frombuffer(f"{day:%d-%m-%Y}".encode(), np.uint8)
        page[self.days[:, None] + np.arange(10)] = written
        # Pages are drawn ten times over: three digits keep their phones apart.
        page[self.phones[:, None] + np.arange(3)] = np.frombuffer(f"{group:03}".encode(), np.uint8)
        return page.tobytes()


def _row(draw: random.Random) -> dict[str, str]:
    (status, detail) = draw.choices([s for s, _ in STATUSES], [w for _, w in STATUSES])[0]
    hour = draw.randrange(8, 22)
    text = draw.choice(TEXTS).format(
        name=draw.choice(NAMES), hour=hour, n=draw.randrange(10**6), m=draw.randrange(100, 9000)
    )
    return {
        "phoneNumber": f"79{draw.randrange(10**9):09}",
        "dateSent": f"01-04-2024 {hour:02}:{draw.randrange(60):02}:{draw.randrange(60):02}",
        "smsStatus": status,
        "smsStatusDetail": detail,
        "smsMessage": text,
    }


class Vendor:
    """What every connection shares."""

    def __init__(self, pages_a_day: int, latency: float, limit: float | None) -> None:
        self.pages_a_day = pages_a_day
        self.settings = {"version": 0, "latency": latency, "limit": limit, "shuffled": False}
        self.drawn = {
            (number, version): DrawnPage(number, version)
            for number in range(min(DRAWN, pages_a_day))
            for version in (0, 1)
        }
        self.page_of = lru_cache(maxsize=KEPT)(self._page_of)
        self.shuffled_page = lru_cache(maxsize=KEPT)(self._shuffled_page)
        self.recent: deque[float] = deque()
        self.forget()

    def forget(self) -> None:
        self.counts = {"pages": 0, "refused": 0, "most_in_a_second": 0}
        self.recent.clear()

    def _page_of(self, day: date, number: int, version: int) -> bytes:
        group, drawn = divmod(number, min(DRAWN, self.pages_a_day))
        return self.drawn[drawn, version].of(day, group)

    def _shuffled_page(self, first: date, number: int, pages: int, version: int) -> bytes:
        """The rows from a few thousand behind the page's beginning on, backwards; the last page ends with the first rows."""
        parts = []
        for of_window in (number, number % pages + 1):
            ahead, of_day = divmod(of_window - 1, self.pages_a_day)
            parts.append(self.page_of(first + timedelta(days=ahead), of_day, version))
        own, following = (part[1:-1].split(b"},{") for part in parts)
        return b"{" + b"},{".join([*own[SHIFT:], *following[:SHIFT]][::-1]) + b"}"

    def page(self, asked: dict[str, object], site: int) -> bytes:
        first, last = (
            datetime.strptime(str(asked[name])[:10], "%d-%m-%Y").date()  # noqa: DTZ007
            for name in ("dateFrom", "dateTo")
        )
        days = (last - first).days + 1
        number = int(str(asked.get("pageOfResult", 1)))
        self.counts["pages"] += 1
        rows, total = self.rows_of(first, days, number, site)
        tail = f'],"totalCountSms":{total},"pageOfResult":{number}}}}}'.encode()
        return b"".join((b'{"data":{"smsDetails":[', rows, tail))

    def rows_of(self, first: date, days: int, number: int, site: int) -> tuple[bytes, int]:
        """The rows of a page, and how many the window has; every site has the same."""
        pages = days * self.pages_a_day
        ahead, of_day = divmod(number - 1, self.pages_a_day)
        rows = b""
        if number <= pages:
            version = int(self.settings["version"] or 0)
            if self.settings["shuffled"]:
                rows = self.shuffled_page(first, number, pages, version)
            else:
                rows = self.page_of(first + timedelta(days=ahead), of_day, version)
        return rows, pages * ROWS

    def is_too_many(self, lain: float) -> bool:
        now = time.monotonic() - lain
        while self.recent and now - self.recent[0] >= 1:
            self.recent.popleft()
        limit = self.settings["limit"]
        if limit and len(self.recent) >= limit:
            self.counts["refused"] += 1
            return True
        self.recent.append(now)
        self.counts["most_in_a_second"] = max(self.counts["most_in_a_second"], len(self.recent))
        return False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                body = await reader.readexactly(size)
                lain = seconds_lain(writer.get_extra_info("socket"))
                status, answer = await self.answer(head, json.loads(body), lain)
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (status, len(answer))
                )
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(
        self, head: bytes, asked: dict[str, object], lain: float
    ) -> tuple[bytes, bytes]:
        if head.startswith(b"POST /_set "):
            told = json.dumps(self.counts).encode()
            self.settings.update(asked)  # type: ignore[arg-type]
            self.forget()
            return b"200 OK", told
        if self.is_too_many(lain):
            return b"429 Too Many Requests", b'{"message":"Too many requests"}'
        page = self.page(asked, int(head.lower().partition(b"\r\nsiteid:")[2].split()[0]))
        if self.settings["latency"]:
            await asyncio.sleep(float(self.settings["latency"]))
        return b"200 OK", page


class SmallSites(Vendor):
    """Each day of a site has a few SMS, and all days of a window stand on one page."""

    def __init__(self, sms_a_day: int, latency: float, limit: float | None) -> None:
        super().__init__(0, latency, limit)
        self.sms_a_day = sms_a_day
        self.drawn = {
            (number, version): DrawnPage(number, version, sms_a_day)
            for number in range(DRAWN)
            for version in (0, 1)
        }

    def rows_of(self, first: date, days: int, number: int, site: int) -> tuple[bytes, int]:
        """The rows of all days; three digits of each phone, and what was drawn, are the site's own."""
        total = days * self.sms_a_day
        assert total <= ROWS
        if number > 1:
            return b"", total
        group, drawn = divmod(site, DRAWN)
        page = self.drawn[drawn, int(self.settings["version"] or 0)]
        return b",".join(page.of(first + timedelta(days=n), group) for n in range(days)), total


def seconds_lain(connection: socket.socket) -> float:
    """How long ago the last bytes arrived, as Linux tells (``tcpi_last_data_recv``).

    A request arrives when its bytes do: on a busy machine this process reads them later, by no fault of the sender.
    """
    if sys.platform != "linux":
        return 0.0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
    return int.from_bytes(info[52:56], sys.byteorder) / 1000


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vendor")
    parser.add_argument("--pages-a-day", type=int, default=10)
    parser.add_argument("--sms-a-day", type=int)
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--limit", type=float)
    options = parser.parse_args()
    vendor = (
        SmallSites(options.sms_a_day, options.latency, options.limit)
        if options.sms_a_day
        else Vendor(options.pages_a_day, options.latency, options.limit)
    )
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
