"""Hands TCP connections on to loopback: ``python -m tests.scenarios.fleet.forward ADDRESS PORT TO``.

It plays a wire, which waits for no processor: where many programs want one, requests that left 40 ms
apart would reach the vendors at the same moment, and more of them in a second than ever left.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def serve(address: str, port: int, to: int) -> None:
    async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pump(source, here), pump(there, sink))

    server = await asyncio.start_server(forward, address, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
