"""Dagster's daemon, at the moment that is played: ``python -m tests.support.played_daemon <workspace.yaml>``.

The daemon itself, its threads, its code server and the runs it launches are real; only its idea of
the present is the test's, and it looks for due ticks every second instead of every minute.
"""

from __future__ import annotations

import os
import sys

import dagster._time as dagster_time
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster._scheduler import scheduler

from dagster_project import clock

LOOK_EVERY_SECONDS = 1.0


def main() -> None:
    # A day passes in a moment: no thread of the daemon has died for that.
    os.environ["DAGSTER_DAEMON_HEARTBEAT_TOLERANCE"] = str(10**9)
    dagster_time._mockable_get_current_datetime = clock.now
    dagster_time._mockable_get_current_timestamp = lambda: clock.now().timestamp()
    scheduler._get_next_scheduler_iteration_time = lambda start: start + LOOK_EVERY_SECONDS
    create_dagster_daemon_cli()(["run", "--workspace", sys.argv[1], "--log-level", "warning"])


if __name__ == "__main__":
    main()
