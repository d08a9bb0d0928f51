"""Trust, played."""
