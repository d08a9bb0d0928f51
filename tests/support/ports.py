"""Free ports of loopback for what tests start, drawn so that no two of them are given the same one.

A port is bound some time after it was drawn: seconds, for a program that takes as long to start. So each
process of the tests draws from ports of its own, no port twice, and below those that the product draws from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import cycle

from dagster_project.warehouse.server.embedded import LOWEST_PORT, is_port_free

FIRST, PROCESSES = 12_000, 16


def _ports() -> Iterator[int]:
    """Those of this process, from one on that its predecessor of the same number has hardly had."""
    worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    number = int(worker[1]) % (PROCESSES - 1) if worker else PROCESSES - 1
    own = range(FIRST + number, LOWEST_PORT, PROCESSES)
    begin = os.getpid() % len(own)
    return cycle([*own[begin:], *own[:begin]])


_drawn = _ports()


def free_port() -> int:
    """A port that nobody listens on, and that no other process of the tests will be given."""
    return next(port for port in _drawn if is_port_free(port))
