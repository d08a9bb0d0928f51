"""A cluster of Debian's PostgreSQL 15, which stands for a server of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagster_project.warehouse.server.cluster import Cluster


class Cluster15(Cluster):
    """It knows neither the built-in locale nor reserved connections."""

    locale = ("--locale=C.UTF-8",)

    def __init__(self, data: Path, binaries: Path, extra: Mapping[str, str] | None = None) -> None:
        super().__init__(data, binaries, extra)
        del self.settings["reserved_connections"]
