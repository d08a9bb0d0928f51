"""Tellody: daily totals of messages and code activity, and the history of credit purchases."""
