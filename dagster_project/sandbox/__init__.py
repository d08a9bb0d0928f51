"""A server that plays the vendors, for the demo and the tests."""
