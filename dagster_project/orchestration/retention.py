"""The nightly job ``retention``: prunes responses, receipts and Dagster's log, and reduces personal data.

It runs at a quiet hour, in small transactions beside whatever loads. The days that everything is kept
are settings (``RAW_RETENTION_DAYS`` and its like); what was pruned is in the run's log.
"""

import dagster as dg

from dagster_project.orchestration import literal_config, liveness
from dagster_project.orchestration.dagster_log import prune_log
from dagster_project.pipeline import personal_data, services
from dagster_project.pipeline.outcomes import raise_safe_errors
from dagster_project.privacy.pseudonym_key import check_fingerprint, pii_hash_key
from dagster_project.privacy.reduction import reduce_old, retention_limits
from dagster_project.warehouse.ledger.prune import prune
from dagster_project.warehouse.restored import refuse_restored

JOB = "retention"


@dg.op(
    description="Reduce personal data of old days; delete what is older than the settings keep it.",
    config_schema=literal_config.NONE,
)
def prune_old(context: dg.OpExecutionContext) -> None:
    settings, warehouse = services.settings(), services.warehouse()
    retention = settings.retention
    key = pii_hash_key(settings)
    check_fingerprint(warehouse, key)
    refuse_restored(warehouse)
    holders = personal_data.reducible(settings)
    with (
        liveness.alive(warehouse, context.run.run_id),
        raise_safe_errors("keeping what is to be kept"),
    ):
        reduced = reduce_old(warehouse, key, holders, retention.pii_days)
        for what, number in sorted(reduced.items()):
            context.log.info(f"personal data of old days: {number} {what} reduced")
        with warehouse.connect(what="retention", autocommit=True) as connection:
            gone = prune(
                connection, retention, retention_limits(connection, holders, retention.pii_days)
            )
        for table, rows in sorted(gone.items()):
            context.log.info(f"{table}: {rows} rows pruned")
        for kind, number in sorted(prune_log(context.instance, retention.dagster_days).items()):
            context.log.info(f"Dagster's log: {number} {kind} pruned")


@dg.job(
    name=JOB,
    tags={liveness.SOURCE_TAG: "warehouse"},
    description="Prune stored responses, receipts and Dagster's log; reduce personal data.",
)
def retention_job() -> None:
    prune_old()


retention_schedule = dg.ScheduleDefinition(
    name="retention_nightly",
    job=retention_job,
    cron_schedule="40 5 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Prunes what is older than the settings keep it, and reduces personal data of old days.",
)
