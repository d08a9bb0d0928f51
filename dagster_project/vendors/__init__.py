"""One package for each vendor: `client` speaks its HTTP, `rows` turns its responses into typed rows."""
