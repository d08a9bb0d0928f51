"""Extractions, receipts, rejects, responses, budgets: what the pipeline remembers in ``ops`` and ``raw``."""
