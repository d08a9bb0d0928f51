"""The Dagster shells: assets made from feeds, checks, schedules and alarms over plain functions."""

import warnings

from dagster import PreviewWarning

from dagster_project.orchestration.scrubbing import scrub_what_dagster_tells

# Partitioned asset checks are in preview; evaluations are logged by us, and tests hold them.
warnings.filterwarnings("ignore", category=PreviewWarning)
scrub_what_dagster_tells()
