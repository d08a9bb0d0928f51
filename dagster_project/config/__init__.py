"""Settings: typed sections, and where their values come from."""
