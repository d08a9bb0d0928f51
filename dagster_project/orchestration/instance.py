"""Dagster's instance: its home beside the embedded server, its storage in Postgres.

The storage URL holds a password, so it reaches Dagster's processes by their environment alone; the
file in the home names only the variable.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from weakref import WeakSet

import dagster as dg

from dagster_project.config.known_names import is_setting
from dagster_project.config.project import ENV_FILE, HOME, settings_file
from dagster_project.config.settings import Settings
from dagster_project.orchestration.storage import check_storage
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.dagster_storage import DagsterStorage
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.server.home import (
    private_folder,
    private_home,
    refuse_others_folders,
    write_private,
)
from dagster_project.warehouse.session import FROM_THE_ENVIRONMENT

STORAGE_URL = "WAREHOUSE_DAGSTER_STORAGE_URL"

_KEEPING: Final = WeakSet[dg.DagsterInstance]()

EVENT_BATCH = ("DAGSTER_EVENT_BATCH_SIZE", "1000")
"""Dagster's own setting: what a run of many days is planned to do is written at once (``event_log``)."""

INSTANCE_YAML = f"""\
# Made by the warehouse; it is written anew when it differs.
storage:
  custom:
    module: dagster_project.orchestration.event_log
    class: SilentPostgresStorage
    config:
      postgres_url:
        env: {STORAGE_URL}
      should_autocreate_tables: false
telemetry:
  enabled: false
nux:
  enabled: false
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
scheduler:
  module: dagster._core.scheduler
  class: DagsterDaemonScheduler
  config:
    max_tick_retries: 60
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    granularity: run
    default_limit: 2
run_monitoring:
  enabled: true
  start_timeout_seconds: 3600
  cancel_timeout_seconds: 60
  max_resume_run_attempts: 0
  poll_interval_seconds: 30
run_retries:
  enabled: true
  max_retries: 0
  retry_on_asset_or_op_failure: false
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 90
      started: 30
"""


def prepare_home(settings: Settings, warehouse: Warehouse) -> Path:
    """Dagster's home, its file written and its variables set for this process and its children."""
    home = prepare_folder(settings.home)
    point_at(warehouse.storage)
    return home


def prepare_folder(warehouse_home: Path) -> Path:
    """Dagster's home alone: the one that ``DAGSTER_HOME`` names, or the one in ``WAREHOUSE_HOME``."""
    given = os.environ.get("DAGSTER_HOME")
    home = Path(given) if given else own_folder(warehouse_home)
    os.environ["DAGSTER_HOME"] = str(home)
    # Child processes run in other folders.
    os.environ[HOME] = str(warehouse_home)
    os.environ.setdefault(*EVENT_BATCH)
    os.environ[ENV_FILE] = str(settings_file(is_setting) or "")
    path = home / "dagster.yaml"
    if not given:
        write_private(path, INSTANCE_YAML)
    elif not path.exists():
        if not home.exists():
            private_folder(home)
        write_private(path, INSTANCE_YAML)
    return home


def point_at(storage: DagsterStorage, also: Sequence[str] = ()) -> None:
    """Set the variable that this process and its children reach Dagster's storage by.

    What libpq would read from the environment goes: it would come behind the sessions' own settings.

    Raises:
        SettingsError: there is no storage yet, or not for this login and version of Dagster, as ``check_storage``.
    """
    with safe_errors("reading Dagster's storage"), storage.connect() as connection:
        check_storage(connection, also)
        os.environ[STORAGE_URL] = storage.url(connection.info.server_version)
    for name in FROM_THE_ENVIRONMENT:
        os.environ.pop(name, None)


def own_folder(home: Path) -> Path:
    """Dagster's folder in ``WAREHOUSE_HOME``, this user's own and closed to others."""
    with refuse_others_folders(home):
        return private_folder(private_home(home) / "dagster")


def opened_instance(settings: Settings, warehouse: Warehouse) -> dg.DagsterInstance:
    """Dagster's instance on the warehouse's server."""
    instance = dg.DagsterInstance.from_config(str(prepare_home(settings, warehouse)))
    keep_connections(instance)
    return instance


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let the storage keep its connections: by itself it opens one for every event, 7 ms each.

    Once an instance: a second time would make new pools, and leave the connections of the first ones.
    """
    if instance in _KEEPING:
        return
    _KEEPING.add(instance)
    instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=600, max_overflow=4)
