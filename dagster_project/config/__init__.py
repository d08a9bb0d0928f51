"""Settings: typed, and where they come from."""
