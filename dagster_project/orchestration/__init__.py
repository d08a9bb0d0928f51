"""The Dagster shells: assets made from feeds, checks, schedules and alarms over plain functions."""

import warnings

from dagster import PreviewWarning

# Partitioned asset checks are in preview; evaluations are logged by us, and tests hold them.
warnings.filterwarnings("ignore", category=PreviewWarning)
