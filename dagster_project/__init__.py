"""The messaging warehouse: daily statistics of messaging vendors in partitioned Postgres tables."""
