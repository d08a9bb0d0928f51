"""Runs made by the command line: full citizens of Dagster's UI, executed in this process.

A run from the queue costs seconds of start-up; here the definitions are loaded already. The run
carries its code location's origin as a run from the UI does, so it can be re-executed there and
failure sensors see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import SQLAlchemyError

from dagster_project.errors import SettingsError, TryLater
from dagster_project.model.feed import Feed
from dagster_project.orchestration import interrupts
from dagster_project.orchestration.names import job_name, op_name

WORKSPACE = Path(__file__).resolve().parents[2] / "workspace.yaml"


def launch(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    feed: Feed,
    days: Sequence[date],
    *,
    run_id: str,
    ask: bool,
    config: dict[str, object],
) -> bool:
    """Run neighbouring days of a feed to their end; answers whether all of it succeeded.

    ``ask``: both assets (the vendor is asked); otherwise the rows alone (a replay).

    Raises:
        TryLater: Dagster's storage does not answer; the days that were committed stand.
        KeyboardInterrupt: the person at the terminal stopped it; the run is canceled, what it had
            committed stays.
    """
    keys = [dg.AssetKey(feed.asset)] + ([dg.AssetKey(feed.raw_asset)] if ask else [])
    job = definitions.resolve_job_def(job_name(feed))
    subset = job.get_subset(asset_selection=set(keys))
    with (
        interrupts.from_terminal() as terminal,
        _storage_answers(feed),
        interrupts.never_started(instance, run_id),
    ):
        run = instance.create_run_for_job(
            job_def=job,
            run_id=run_id,
            run_config=_run_config(feed, config),
            asset_selection=frozenset(keys),
            tags={"source": feed.source, **_partition_tags(days)},
            remote_job_origin=_origin(job_name(feed)),
            job_code_origin=None,
        )
        result = execute_run(InMemoryJob(subset), run, instance, raise_on_error=False)
    if terminal.interrupted:
        raise KeyboardInterrupt
    return bool(result.success)


@contextmanager
def _storage_answers(feed: Feed) -> Iterator[None]:
    """Say so where Dagster's own storage fails, which a run cannot begin or end without."""
    try:
        yield
    except (DagsterPostgresException, SQLAlchemyError) as error:
        raise TryLater(
            f"Dagster's storage failed ({type(error).__name__}). What the run loaded is committed.",
            source=feed.source,
            hint="once it answers, the next run of the source reports the days to Dagster.",
        ) from None


def _run_config(feed: Feed, config: dict[str, object]) -> dict[str, object]:
    return {
        "ops": {op_name(feed): {"config": config}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _partition_tags(days: Sequence[date]) -> dict[str, str]:
    first, last = min(days).isoformat(), max(days).isoformat()
    if first == last:
        return {PARTITION_NAME_TAG: first}
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def _origin(job: str) -> RemoteJobOrigin:
    origins = location_origins_from_yaml_paths([str(WORKSPACE)])
    if not origins:
        raise SettingsError("workspace.yaml names no code location.")
    return RemoteJobOrigin(RemoteRepositoryOrigin(origins[0], "__repository__"), job)
