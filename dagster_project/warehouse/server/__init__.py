"""The embedded Postgres server: its home, its data directory, who it runs as."""
