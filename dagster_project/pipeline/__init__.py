"""The pipeline, from days to receipts: plain functions over feeds, without Dagster."""
