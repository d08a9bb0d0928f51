"""Load a window: read the existing rows, compare, write the differences."""
