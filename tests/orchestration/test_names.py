"""Names that Dagster knows things by do not collide."""

from __future__ import annotations

from dagster_project.feeds import FEEDS
from dagster_project.orchestration import names


def test_ops_jobs_and_schedules_of_all_feeds_have_names_of_their_own() -> None:
    made = [
        name(feed)
        for feed in FEEDS
        for name in (names.op_name, names.job_name, names.reconcile_job_name)
    ]
    assert len(set(made)) == len(made)
    assert all(name.isidentifier() for name in made)
