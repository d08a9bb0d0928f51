"""``python -m benchmarks [PART …]``: the product beside its peers and its limits, one table.

Each part builds a scratch warehouse of its own on loopback and removes it; all of them together take
some 30 minutes on an idle machine. ``--full`` asks for the sizes of the goals where the usual ones
are smaller (10 million rows of memory, 50 million of standing rows, 1,000 sites), ``--rows`` for another size.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from benchmarks import first_load, nights, quiet, sites, sizes, startup, under_limit, values
from benchmarks.table import Line, show

Options = argparse.Namespace

PARTS: dict[str, Callable[[Options], Iterator[Line]]] = {
    "load": lambda o: first_load.first_load(o.rows, max(o.rounds, 5), o.peer_rows, o.peer_rounds),
    "rerun": lambda o: first_load.rerun(o.rows, o.rounds),
    "limit": lambda o: under_limits((100, 300, 1000) if o.full else (100, 300)),
    "memory": lambda o: sizes.memory(10_000_000 if o.full else 3_000_000),
    "startup": lambda o: startup.startup(o.rounds),
    "quiet": lambda o: quiet.quiet(o.rounds),
    "values": lambda o: values.values(),
    "scale": lambda o: sizes.scale(50_000_000 if o.full else 6_000_000, o.rounds),
    "sites": lambda o: sites.sites(1000 if o.full else 100),
    "night": lambda o: nights.night(o.rounds),
    "small": lambda o: nights.small_sites(1000 if o.full else nights.SMALL_SITES),
    "readers": lambda o: nights.readers(o.rounds),
}


def under_limits(sizes: Sequence[int]) -> Iterator[Line]:
    for pages in sizes:
        yield from under_limit.under_limit(pages)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=int, default=1_000_000, help="SMS of a first load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-rows", type=int, default=200_000, help="SMS that dlt loads")
    parser.add_argument("--peer-rounds", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # scratch servers are stopped even then
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    lines: list[Line] = []
    failed: list[str] = []
    busy = [f"{os.getloadavg()[0]:.1f}"]
    for part in options.parts or PARTS:
        begun = time.monotonic()
        print(f"{part} …", flush=True)
        found: list[Line] = []
        try:
            found.extend(PARTS[part](options))
        except Exception:  # noqa: BLE001 - the other parts have their say
            traceback.print_exc()
            failed.append(part)
        show(found, f"{part}: {time.monotonic() - begun:.0f} s")
        lines += found
        busy.append(f"{os.getloadavg()[0]:.1f}")
    if len(options.parts) != 1:
        show(lines, "all parts")
    print(f"{os.cpu_count()} cores; load average before and after each part: {', '.join(busy)}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
