"""The embedded Postgres server: its home, its data directory, the account it runs as."""
