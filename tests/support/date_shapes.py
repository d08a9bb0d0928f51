"""The forms that a played purchase may be dated in, and still be dated."""

SHAPES = ("full", "millis", "fields", "offset", "utc", "unknown", "number", "iso", "contradicting")
