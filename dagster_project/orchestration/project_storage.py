"""Dagster's storage for commands that are typed in the project's folder, without ``DAGSTER_HOME``.

``dagster.yaml`` in the project names it. ``dg launch`` and ``dagster asset materialize`` write into the
warehouse's own storage, so that their runs show in its UI. ``dagster dev`` and a plain webserver are
refused: they would serve the data without what guards it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from typing import Any

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from dagster_project.errors import WarehouseError
from dagster_project.orchestration.event_log import SilentPostgresStorage
from dagster_project.orchestration.instance import STORAGE_URL, prepare_home
from dagster_project.orchestration.storage import make_storage
from dagster_project.pipeline import services
from dagster_project.text.remedies import SERVE_INSTEAD
from dagster_project.warehouse.server import embedded


class ProjectStorage(SilentPostgresStorage):
    """Named by ``dagster.yaml``; takes no configuration."""

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> DagsterStorage:
        """The warehouse's storage; an empty one that ends with the process where there is no warehouse yet.

        Raises:
            SystemExit: a server is asked for, or the warehouse cannot be reached; the sentence says why.
        """
        if "dagster_webserver" in sys.modules:
            raise SystemExit(SERVE_INSTEAD)
        try:
            url = os.environ.get(STORAGE_URL) or _open_storage()
        except WarehouseError as error:
            raise SystemExit(f"warehouse: {error}") from None
        if url is None:
            folder = tempfile.mkdtemp(prefix="warehouse-dagster-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            return DagsterSqliteStorage.from_local(folder)
        return SilentPostgresStorage(url, should_autocreate_tables=False, inst_data=inst_data)


def _open_storage() -> str | None:
    """Its URL; None: there is no warehouse yet, and looking at definitions makes none."""
    settings = services.settings()
    if settings.embedded and not embedded.exists(settings.home):
        return None
    prepare_home(settings, services.ready_warehouse(make_storage))
    return os.environ[STORAGE_URL]
