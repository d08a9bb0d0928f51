"""A server that plays the four vendors, for the demo and the tests."""
