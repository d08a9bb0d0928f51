"""The ledger in ``ops`` and ``raw``: extractions, receipts, rejects, responses, budgets."""
