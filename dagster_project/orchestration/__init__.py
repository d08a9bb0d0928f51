"""The Dagster shells: assets made from feeds, checks, schedules and alarms over plain functions."""
