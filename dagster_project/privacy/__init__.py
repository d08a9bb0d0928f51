"""Personal data: suppression, erasure, reduction, rekey, and what is held about a person."""
