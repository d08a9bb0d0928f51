"""Tellody, played."""
