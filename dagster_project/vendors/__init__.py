"""One package a vendor: `client` speaks its HTTP, `rows` turns its answers into typed rows."""
