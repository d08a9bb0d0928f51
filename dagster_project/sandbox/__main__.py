"""``python -m dagster_project.sandbox``: the vendors, played on loopback."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dagster_project.sandbox.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dagster_project.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--clock", default="now", help="now, or an instant as 2024-05-01T12:00:00+03:00"
    )
    parser.add_argument("--running", action="store_true", help="the clock runs on from its instant")
    parser.add_argument("--ready-file", type=Path, help="written once requests are answered")
    parser.add_argument("--configs", type=json.loads, default={}, help="vendor: fields, as JSON")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the parent")
    parser.add_argument("--quiet", action="store_true", help="do not print the address")
    given = parser.parse_args()
    serve(
        port=given.port,
        seed=given.seed,
        clock=given.clock,
        running=given.running,
        ready_file=given.ready_file,
        configs=given.configs,
        until_stdin_closes=given.until_stdin_closes,
        announce=not given.quiet,
    )


if __name__ == "__main__":
    main()
