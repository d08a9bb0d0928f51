"""Personal data: suppression, erasure, reduction, new pseudonyms."""
