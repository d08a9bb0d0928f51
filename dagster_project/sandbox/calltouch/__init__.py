"""Calltouch, played."""
