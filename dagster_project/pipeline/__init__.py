"""From days to receipts: plain functions over feeds that know nothing of Dagster."""
