"""Tellody: totals of code activity, and the history of credit purchases."""
