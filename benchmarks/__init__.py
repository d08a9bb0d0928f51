"""The product beside its peers and its limits: see ``benchmarks/README.md`` and ``make bench``."""
