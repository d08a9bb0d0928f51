"""A window becomes equal to its rows: reading what stands, comparing, writing the differences."""
